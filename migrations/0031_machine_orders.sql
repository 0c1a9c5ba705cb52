-- Pages of machines in the order of state and of kernel: each order ends with the id.
DROP INDEX machines_by_state;
CREATE INDEX machines_by_state ON machines (state, id);
CREATE INDEX machines_by_release ON machines (kernel_release, id);
