PRAGMA user_version = 2;

-- Identities at other providers by which accounts sign in.
CREATE TABLE links (
    id         INTEGER PRIMARY KEY AUTOINCREMENT, -- the association_id of the HTTP contract
    account    TEXT    NOT NULL REFERENCES accounts (id),
    provider   TEXT    NOT NULL,                  -- its key in the configuration
    subject    TEXT    NOT NULL,                  -- what the provider calls the person by, compared byte by byte
    created_at INTEGER NOT NULL,
    UNIQUE (provider, subject)
) STRICT;

CREATE INDEX links_by_account ON links (account);

ALTER TABLE sessions ADD COLUMN user_agent TEXT NOT NULL DEFAULT ''; -- what the client called itself at sign-in
