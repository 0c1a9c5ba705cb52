-- Livepatch Security Notices: a row for each revision. Documents are those of livepatch-notice, as JSON.
CREATE TABLE notices (
    number       BIGINT NOT NULL,
    revision     BIGINT NOT NULL,
    state        TEXT   NOT NULL,              -- draft, reviewed, published
    document     TEXT   NOT NULL,
    author       TEXT   NOT NULL,              -- who wrote it last
    reviewer     TEXT,                         -- who reviewed it as it is
    changed_at   BIGINT NOT NULL,
    published_at BIGINT,
    PRIMARY KEY (number, revision)
);
CREATE INDEX notices_by_state ON notices (state, number, revision);

-- Who gets notices by mail. The token stands in the address that takes them off the list.
CREATE TABLE subscribers (
    address         TEXT   NOT NULL PRIMARY KEY,
    token           TEXT   NOT NULL UNIQUE,
    added_at        BIGINT NOT NULL,
    unsubscribed_at BIGINT                     -- NULL: still there
);

-- Mails to send, and what became of them.
CREATE TABLE mails (
    number   BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    address  TEXT   NOT NULL,
    state    TEXT   NOT NULL,                  -- queued, sent, refused
    attempts BIGINT NOT NULL,
    next_at  BIGINT NOT NULL,
    detail   TEXT   NOT NULL,                  -- the last answer of the mail server
    PRIMARY KEY (number, revision, address)
);
CREATE INDEX mails_due ON mails (state, next_at);
