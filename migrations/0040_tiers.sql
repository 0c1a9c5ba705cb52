-- The tiers, first to get a livepatch first. Empty: those that the program was started with.
CREATE TABLE tiers (
    name     TEXT   NOT NULL PRIMARY KEY,
    position BIGINT NOT NULL
);
