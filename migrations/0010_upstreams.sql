-- Sites whose livepatches this one passes on. The document is what the operator said, with the pinned trust anchor, as JSON.
CREATE TABLE upstreams (
    name       TEXT   NOT NULL PRIMARY KEY,
    document   TEXT   NOT NULL,
    added_at   BIGINT NOT NULL,
    tried_at   BIGINT,                        -- when it was synced or imported last, well or not; NULL: never
    synced_at  BIGINT,                        -- when that went well
    failure    TEXT                           -- why the last attempt failed; NULL: it did not
);
