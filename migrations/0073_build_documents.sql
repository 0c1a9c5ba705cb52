-- What publishers say of the builds that livepatches came from, for people to read.
CREATE TABLE build_documents (
    module_sha256 TEXT   NOT NULL,          -- of the signed module
    kind          TEXT   NOT NULL,          -- report, provenance, boot-test, console, patch
    sha256        TEXT   NOT NULL,          -- of the body
    body          TEXT   NOT NULL,
    actor         TEXT   NOT NULL,
    added_at      BIGINT NOT NULL,
    PRIMARY KEY (module_sha256, kind)
);
