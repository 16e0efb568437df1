PRAGMA user_version = 2;

-- Identities at other providers by which accounts sign in. Those imported under an address have no subject until their
-- owner signs in.
CREATE TABLE links (
    id         INTEGER PRIMARY KEY AUTOINCREMENT, -- the association_id of the HTTP contract
    account    TEXT    NOT NULL REFERENCES accounts (id),
    provider   TEXT    NOT NULL,                  -- its key in the configuration
    subject    TEXT,                              -- what the provider calls the person by, compared byte by byte
    by_email   TEXT,                              -- the address it was imported under; stays, so that it is used once
    created_at INTEGER NOT NULL,
    UNIQUE (provider, subject),
    UNIQUE (provider, by_email),
    CHECK (subject IS NOT NULL OR by_email IS NOT NULL)
) STRICT;

CREATE INDEX links_by_account ON links (account);

-- Where accounts signed in from lately: others cannot lock them out from there.
CREATE TABLE sources (
    account TEXT    NOT NULL REFERENCES accounts (id),
    source  BLOB    NOT NULL CHECK (length(source) = 16), -- MAC of an address or its network
    at      INTEGER NOT NULL,                             -- the last sign-in
    PRIMARY KEY (account, source)
) STRICT, WITHOUT ROWID;

CREATE INDEX sources_by_time ON sources (at);

ALTER TABLE sessions ADD COLUMN user_agent TEXT NOT NULL DEFAULT ''; -- what the client called itself at sign-in

-- A secret as Django hashed it, until the client has shown it once.
ALTER TABLE clients ADD COLUMN secret_hash TEXT CHECK (secret_hash IS NULL OR secret_mac IS NULL);
