-- Promises: a field is replaced, or deleted, only if it still is as it was read.
-- KEYS: the hash. ARGV: the field, its value as read, the new one or ''.
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
end
return 1
