-- Web-hooks: whom to tell what. The secret signs what is sent, so it is kept as it is.
CREATE TABLE hooks (
    id         TEXT   NOT NULL PRIMARY KEY,  -- UUID
    name       TEXT   NOT NULL UNIQUE,
    url        TEXT   NOT NULL,
    secret     TEXT   NOT NULL,
    events     TEXT   NOT NULL,              -- words, divided by commas
    created_at BIGINT NOT NULL
);

-- What is to be sent, and what became of it.
CREATE TABLE hook_deliveries (
    id       TEXT   NOT NULL PRIMARY KEY,    -- UUID, in the order of time
    hook_id  TEXT   NOT NULL REFERENCES hooks (id) ON DELETE CASCADE,
    event    TEXT   NOT NULL,
    body     TEXT   NOT NULL,
    state    TEXT   NOT NULL,                -- queued, sent, given-up
    attempts BIGINT NOT NULL,
    next_at  BIGINT NOT NULL,
    detail   TEXT   NOT NULL
);
CREATE INDEX hook_deliveries_due ON hook_deliveries (state, next_at);
