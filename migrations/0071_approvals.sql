-- What people have said yes to, for tiers that nothing comes to by one person's word.
CREATE TABLE approvals (
    livepatch  TEXT   NOT NULL,
    tier       TEXT   NOT NULL,
    actor      TEXT   NOT NULL,  -- as the audit log names them
    reason     TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (livepatch, tier, actor)
);
