-- What operators keep from livepatches, or livepatches from it, for a while or until it is lifted.
CREATE TABLE blocks (
    id         TEXT   NOT NULL PRIMARY KEY,  -- UUID
    kind       TEXT   NOT NULL,              -- patch, kernel, machine, tag
    subject    TEXT   NOT NULL,
    reason     TEXT   NOT NULL,
    actor      TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,                       -- NULL: until it is lifted
    UNIQUE (kind, subject)
);
