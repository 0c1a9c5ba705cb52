-- What makes faults harmless until they are mended, as livepatch-cve reads it. Retired ones are gone from here and from the
-- signed document; the audit log remembers them.
CREATE TABLE mitigations (
    name      TEXT   NOT NULL PRIMARY KEY,
    document  TEXT   NOT NULL,
    issued_by TEXT   NOT NULL,
    issued_at BIGINT NOT NULL
);
