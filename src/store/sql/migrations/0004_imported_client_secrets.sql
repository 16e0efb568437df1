PRAGMA user_version = 4;

-- A secret as Django hashed it, until the client has shown it once.
ALTER TABLE clients ADD COLUMN secret_hash TEXT CHECK (secret_hash IS NULL OR secret_mac IS NULL);
