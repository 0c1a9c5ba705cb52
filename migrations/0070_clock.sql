-- How the clock of a vulnerability is read: when machines first had livepatches.

-- The greatest version of a kernel build's livepatches that a machine ever had.
CREATE TABLE protections (
    machine_id TEXT   NOT NULL REFERENCES machines (id) ON DELETE CASCADE,
    build_id   TEXT   NOT NULL,
    version    BIGINT NOT NULL,
    PRIMARY KEY (machine_id, build_id)
);

-- How many machines came from a version to a greater one, five minutes a row: a fleet of any size leaves few rows. Each
-- machine is counted once for every version between the two.
CREATE TABLE protection_times (
    build_id TEXT   NOT NULL,
    above    BIGINT NOT NULL,               -- the greatest version that they had before; 0: none
    version  BIGINT NOT NULL,
    span     BIGINT NOT NULL,               -- the time, divided by 300
    first_at BIGINT NOT NULL,
    last_at  BIGINT NOT NULL,
    machines BIGINT NOT NULL,
    PRIMARY KEY (build_id, above, version, span)
);

-- The same as in protections, for the kernel that the machine runs now; 0: none.
ALTER TABLE machines ADD COLUMN had_version BIGINT NOT NULL DEFAULT 0;
CREATE INDEX machines_by_had_version ON machines (kernel_build_id, kernel_release, had_version, revoked_at, applied_version);

-- When a mitigation against a vulnerability was issued first; stays when it is retired.
CREATE TABLE first_mitigations (
    cve TEXT   NOT NULL PRIMARY KEY,
    at  BIGINT NOT NULL
);

-- Machines from before this table: the time of their own word where it is kept, otherwise when they were last heard of.
UPDATE machines SET had_version = applied_version WHERE applied_version IS NOT NULL;
INSERT INTO protections (machine_id, build_id, version)
    SELECT id, kernel_build_id, applied_version FROM machines WHERE applied_version IS NOT NULL;
INSERT INTO protection_times (build_id, above, version, span, first_at, last_at, machines)
    SELECT kernel_build_id, 0, applied_version, at / 300, MIN(at), MAX(at), COUNT(*)
    FROM (
        SELECT kernel_build_id, applied_version, COALESCE((
            SELECT MIN(received_at) FROM events
            WHERE machine_id = machines.id AND kind = 'applied' AND detail LIKE applied_name || ' %'
        ), last_seen) AS at
        FROM machines WHERE applied_version IS NOT NULL
    ) AS known
    GROUP BY kernel_build_id, applied_version, at / 300;
