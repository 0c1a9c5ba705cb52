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

-- Machines by the words that they carry: their counts, and a page of them.
CREATE INDEX machines_by_tags ON machines (tags, state, revoked_at);
CREATE INDEX machines_by_tags_and_hostname ON machines (tags, hostname, id);

-- When each row changed last, so that whoever has read them reads on from there.
ALTER TABLE protection_times ADD COLUMN changed_at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX protection_times_by_change ON protection_times (changed_at);
