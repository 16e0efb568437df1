-- Times are milliseconds since the Unix epoch (UTC), flags are 0 or 1.

PRAGMA application_id = 1346847060; -- "PGAT"
PRAGMA user_version = 1;

CREATE TABLE accounts (
    id             TEXT    NOT NULL PRIMARY KEY, -- UUIDv7, the `sub` claim
    email          TEXT,                         -- in the spelling given
    email_key      TEXT    UNIQUE,               -- its canonical form
    email_verified INTEGER NOT NULL CHECK (email_verified IN (0, 1)),
    username       TEXT    NOT NULL,
    first_name     TEXT    NOT NULL,
    last_name      TEXT    NOT NULL,
    groups         TEXT    NOT NULL CHECK (json_type(groups) = 'array'),
    staff          INTEGER NOT NULL CHECK (staff IN (0, 1)),
    active         INTEGER NOT NULL CHECK (active IN (0, 1)),
    external_id    TEXT    UNIQUE,
    password_hash  TEXT,                         -- PHC string
    epoch          INTEGER NOT NULL CHECK (epoch BETWEEN 0 AND 4294967295),
    created_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    sid               TEXT    NOT NULL PRIMARY KEY, -- 32 hex digits, the `sid` claim
    account           TEXT    NOT NULL REFERENCES accounts (id),
    client            TEXT    NOT NULL,
    scope             TEXT    NOT NULL,             -- separated by spaces
    created_at        INTEGER NOT NULL,             -- sign-in
    generation        INTEGER NOT NULL CHECK (generation BETWEEN 0 AND 4294967295),
    rotated_at        INTEGER NOT NULL,
    superseded        TEXT    NOT NULL CHECK (json_type(superseded) = 'array'), -- times, oldest first
    access_expires_at INTEGER NOT NULL,
    refresh_ended     INTEGER NOT NULL CHECK (refresh_ended IN (0, 1))
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_by_account ON sessions (account);
CREATE INDEX sessions_by_rotation ON sessions (rotated_at);
CREATE INDEX sessions_by_creation ON sessions (created_at);

CREATE TABLE clients (
    client_id  TEXT NOT NULL PRIMARY KEY,
    secret_mac BLOB CHECK (length(secret_mac) = 32), -- absent for a public client
    grants     TEXT NOT NULL CHECK (json_type(grants) = 'array'),
    scopes     TEXT NOT NULL                         -- separated by spaces
) STRICT, WITHOUT ROWID;

CREATE TABLE signing_keys (
    kid        TEXT    NOT NULL PRIMARY KEY,
    algorithm  TEXT    NOT NULL,
    sealed     BLOB    NOT NULL, -- private half, encrypted under the master secret
    created_at INTEGER NOT NULL,
    signs_from INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What every node must know at once; an entry goes when `until` has passed.
CREATE TABLE changes (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT,
    kind      TEXT    NOT NULL CHECK (kind IN ('session', 'account', 'keys', 'clients')),
    sid       TEXT    CHECK ((kind = 'session') = (sid IS NOT NULL)),
    account   TEXT    CHECK ((kind = 'account') = (account IS NOT NULL)),
    min_epoch INTEGER CHECK ((kind = 'account') = (min_epoch IS NOT NULL)),
    until     INTEGER NOT NULL
) STRICT;

CREATE INDEX changes_by_sid ON changes (sid) WHERE sid IS NOT NULL;
CREATE INDEX changes_by_account ON changes (account) WHERE account IS NOT NULL;

CREATE TABLE change_log (
    one    INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    log_id BLOB    NOT NULL CHECK (length(log_id) = 16),
    pruned INTEGER NOT NULL -- the highest `seq` of `changes` ever deleted
) STRICT;

INSERT INTO change_log (one, log_id, pruned) VALUES (1, randomblob(16), 0);

CREATE TABLE deployment (
    one          INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    id           BLOB    NOT NULL CHECK (length(id) = 16),
    master_check BLOB    NOT NULL CHECK (length(master_check) = 32)
) STRICT;
