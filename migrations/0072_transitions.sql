-- How long transitions to a release took: the times up to each bound, in milliseconds.
CREATE TABLE transition_times (
    release     TEXT   NOT NULL REFERENCES rollouts (release) ON DELETE CASCADE,
    up_to       BIGINT NOT NULL,            -- the bound; 0: longer than all
    transitions BIGINT NOT NULL,
    PRIMARY KEY (release, up_to)
);

-- What held transitions back that were reverted: tasks, with the kernel function that they slept in.
CREATE TABLE stall_causes (
    release TEXT   NOT NULL REFERENCES rollouts (release) ON DELETE CASCADE,
    cause   TEXT   NOT NULL,
    stalls  BIGINT NOT NULL,
    PRIMARY KEY (release, cause)
);

-- Machines by the words that they carry.
CREATE INDEX machines_by_tags ON machines (tags, state, revoked_at);
