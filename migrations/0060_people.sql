-- People who sign in with a password. The password itself is never stored.
CREATE TABLE users (
    name         TEXT   NOT NULL PRIMARY KEY,
    password     TEXT   NOT NULL,              -- argon2id, as a PHC string
    role         TEXT   NOT NULL,              -- viewer, operator, releaser, admin
    created_at   BIGINT NOT NULL,
    used_at      BIGINT,                       -- NULL: never
    failures     BIGINT NOT NULL,              -- attempts since the last one that was right
    locked_until BIGINT                        -- NULL: not locked
);

-- A session stands for a key, for a user, or for somebody that an OpenID provider vouched for, with the role of that moment.
ALTER TABLE dashboard_sessions ADD COLUMN user_name TEXT;
ALTER TABLE dashboard_sessions ADD COLUMN guest_name TEXT;
ALTER TABLE dashboard_sessions ADD COLUMN guest_role TEXT;

-- Sign-ins that are under way at an OpenID provider.
CREATE TABLE openid_flows (
    state_sha256 TEXT   NOT NULL PRIMARY KEY,
    nonce        TEXT   NOT NULL,
    verifier     TEXT   NOT NULL,              -- RFC 7636
    back         TEXT   NOT NULL,
    expires_at   BIGINT NOT NULL
);
