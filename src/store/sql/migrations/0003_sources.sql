PRAGMA user_version = 3;

-- Where accounts signed in from lately: others cannot lock them out from there.
CREATE TABLE sources (
    account TEXT    NOT NULL REFERENCES accounts (id),
    source  BLOB    NOT NULL CHECK (length(source) = 16), -- hash of an address or its network
    at      INTEGER NOT NULL,                             -- the last sign-in
    PRIMARY KEY (account, source)
) STRICT, WITHOUT ROWID;

CREATE INDEX sources_by_time ON sources (at);
