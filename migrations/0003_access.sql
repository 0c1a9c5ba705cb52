-- Words for blocking, searching and, later, groups: separated by commas.
ALTER TABLE tokens ADD COLUMN tags TEXT NOT NULL DEFAULT '';
ALTER TABLE machines ADD COLUMN tags TEXT NOT NULL DEFAULT '';

-- When an operator took it back; NULL: it holds.
ALTER TABLE tokens ADD COLUMN revoked_at BIGINT;
ALTER TABLE machines ADD COLUMN revoked_at BIGINT;

-- Keys of people and programs, beside admin.key. The secret itself is never stored.
CREATE TABLE api_keys (
    id            TEXT   NOT NULL PRIMARY KEY,  -- UUID
    secret_sha256 TEXT   NOT NULL UNIQUE,
    name          TEXT   NOT NULL UNIQUE,
    role          TEXT   NOT NULL,              -- viewer, operator, releaser, admin
    created_at    BIGINT NOT NULL,
    expires_at    BIGINT,                       -- NULL: never
    revoked_at    BIGINT,                       -- NULL: it holds
    used_at       BIGINT                        -- NULL: never
);

-- The audit log is a chain: each entry's hash covers the hash before it. Entries from before the chain have none.
ALTER TABLE acts ADD COLUMN actor TEXT NOT NULL DEFAULT 'admin.key';
ALTER TABLE acts ADD COLUMN hash TEXT NOT NULL DEFAULT '';
-- One row: the hash of the newest entry. Whoever appends updates it first, and so waits for the one before.
CREATE TABLE acts_head (
    id     BIGINT NOT NULL PRIMARY KEY,
    length BIGINT NOT NULL,
    hash   TEXT   NOT NULL
);
INSERT INTO acts_head (id, length, hash) VALUES (1, 0, '');
