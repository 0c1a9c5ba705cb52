-- Times are seconds since 1970, UTC. Digests are SHA-256 in lower-case hex. What is published stands in the signed TUF
-- metadata, and nowhere here.

-- Certificates of the keys that may sign modules: part of the trust anchor that new tokens carry.
CREATE TABLE certificates (
    fingerprint TEXT   NOT NULL PRIMARY KEY,  -- of the DER form
    pem         TEXT   NOT NULL,
    added_at    BIGINT NOT NULL
);

-- Enrolment tokens. The secret itself is never stored.
CREATE TABLE tokens (
    id            TEXT   NOT NULL PRIMARY KEY,  -- UUID
    secret_sha256 TEXT   NOT NULL UNIQUE,
    tier          TEXT   NOT NULL,
    uses          BIGINT,                       -- NULL: any number
    used          BIGINT NOT NULL DEFAULT 0,
    expires_at    BIGINT,                       -- NULL: never
    note          TEXT   NOT NULL,
    created_at    BIGINT NOT NULL
);

CREATE TABLE machines (
    id                TEXT   NOT NULL PRIMARY KEY,  -- UUID, made by the machine
    credential_sha256 TEXT   NOT NULL UNIQUE,
    token_id          TEXT   NOT NULL REFERENCES tokens (id),
    tier              TEXT   NOT NULL,
    hostname          TEXT   NOT NULL,
    kernel_release    TEXT   NOT NULL,
    kernel_build_id   TEXT   NOT NULL,
    kernel_arch       TEXT   NOT NULL,
    client_version    TEXT   NOT NULL,
    enrolled_at       BIGINT NOT NULL,
    last_seen         BIGINT NOT NULL,
    sequence          BIGINT NOT NULL,              -- of the newest report; 0: none yet
    boot_id           TEXT,
    state             TEXT   NOT NULL,
    applied_name      TEXT,
    applied_version   BIGINT,
    applied_sha256    TEXT,
    taint             BIGINT NOT NULL               -- the 64 bits of the mask
);

CREATE TABLE events (
    id          INTEGER NOT NULL PRIMARY KEY,
    machine_id  TEXT    NOT NULL REFERENCES machines (id) ON DELETE CASCADE,
    sequence    BIGINT  NOT NULL,  -- of the report that brought it
    at          TEXT    NOT NULL,  -- as the machine says, RFC 3339
    kind        TEXT    NOT NULL,
    detail      TEXT    NOT NULL,
    received_at BIGINT  NOT NULL
);
CREATE INDEX events_by_machine ON events (machine_id, id);

-- What operators did.
CREATE TABLE acts (
    id      INTEGER NOT NULL PRIMARY KEY,
    at      BIGINT  NOT NULL,
    action  TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    detail  TEXT    NOT NULL
);
