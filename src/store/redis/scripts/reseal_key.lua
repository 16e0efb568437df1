-- Promises: the signing key is replaced, only if it still is as it was read.
-- KEYS: the keys. ARGV: the key's id, the key as read, as it is to be.
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
