-- Documents about vulnerabilities as they were imported; the register is made from them. An empty body: taken back.
CREATE TABLE cve_documents (
    source      TEXT   NOT NULL,               -- ubuntu-tracker, changelog, osv, cve-record, kev, epss, reviewer
    name        TEXT   NOT NULL,               -- a path or an address
    family      TEXT   NOT NULL,               -- of a changelog: distribution/release/package; else empty
    sha256      TEXT   NOT NULL,
    body        TEXT   NOT NULL,
    change      BIGINT NOT NULL UNIQUE,        -- whoever keeps a register reads on from the greatest that it has seen
    imported_at BIGINT NOT NULL,
    PRIMARY KEY (source, name)
);

-- One row: the greatest change so far. Whoever imports updates it first, and so waits for the one before.
CREATE TABLE cve_head (
    id     BIGINT NOT NULL PRIMARY KEY,
    change BIGINT NOT NULL
);
INSERT INTO cve_head (id, change) VALUES (1, 0);

-- Vulnerabilities that cannot be livepatched in a family of kernels.
CREATE TABLE cve_refusals (
    cve        TEXT   NOT NULL,
    family     TEXT   NOT NULL,                -- distribution/release/package
    code       TEXT   NOT NULL,                -- the builder's reason code
    reason     TEXT   NOT NULL,                -- in words
    mitigation TEXT   NOT NULL,                -- what helps until the update; may be empty
    decided_by TEXT   NOT NULL,
    decided_at BIGINT NOT NULL,
    PRIMARY KEY (cve, family)
);
