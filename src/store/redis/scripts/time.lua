-- Promises: the clock of the server that has the key.
-- KEYS: the key.
return redis.call('TIME')
