-- People at the dashboard. A session stands for the key that it was begun with, and ends with it. Secrets are never stored.
CREATE TABLE dashboard_logins (
    code_sha256 TEXT   NOT NULL PRIMARY KEY,
    key_sha256  TEXT   NOT NULL,  -- whose session it begins: an API key's digest, or that of admin.key
    expires_at  BIGINT NOT NULL
);

CREATE TABLE dashboard_sessions (
    secret_sha256 TEXT   NOT NULL PRIMARY KEY,
    key_sha256    TEXT   NOT NULL,
    created_at    BIGINT NOT NULL,
    seen_at       BIGINT NOT NULL
);

-- A page of machines in the order of its column, and the counts of all machines, without reading the table.
CREATE INDEX machines_by_hostname ON machines (hostname, id);
CREATE INDEX machines_by_last_seen ON machines (last_seen, id);
CREATE INDEX machines_by_state ON machines (state, hostname, id);
CREATE INDEX machines_by_kernel ON machines (kernel_release, kernel_build_id, tier, state, applied_version, revoked_at);
CREATE INDEX events_by_kind ON events (kind, id);
CREATE INDEX rollout_machines_by_time ON rollout_machines (release, given, first_at);
