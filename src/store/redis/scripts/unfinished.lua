-- Promises: up to so many notes that are older than any change takes.
-- KEYS: the notes. ARGV: seconds, most.
local before = redis.call('TIME')[1] - ARGV[1]
return redis.call('ZRANGE', KEYS[1], '-inf', before, 'BYSCORE', 'LIMIT', 0, ARGV[2])
