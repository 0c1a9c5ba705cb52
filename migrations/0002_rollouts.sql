-- Releases on their way through the fleet. The document is the engine's own state, as JSON.
CREATE TABLE rollouts (
    release    TEXT   NOT NULL PRIMARY KEY,
    state      TEXT   NOT NULL,               -- running, halted, withdrawn, complete
    document   TEXT   NOT NULL,
    started_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL
);

-- What came of a release on a machine: each column is 0 or 1 and never goes back.
CREATE TABLE rollout_machines (
    release     TEXT   NOT NULL REFERENCES rollouts (release) ON DELETE CASCADE,
    machine_id  TEXT   NOT NULL REFERENCES machines (id) ON DELETE CASCADE,
    build_id    TEXT   NOT NULL,
    first_at    BIGINT NOT NULL,
    given       BIGINT NOT NULL,              -- it tried to apply
    soaked      BIGINT NOT NULL,
    out         BIGINT NOT NULL,              -- it will not take it
    crash       BIGINT NOT NULL,
    oops        BIGINT NOT NULL,
    taint       BIGINT NOT NULL,
    stalled     BIGINT NOT NULL,
    failed_load BIGINT NOT NULL,
    PRIMARY KEY (release, machine_id)
);
CREATE INDEX rollout_machines_by_build ON rollout_machines (release, build_id);

CREATE INDEX machines_by_tier ON machines (tier, kernel_build_id);
