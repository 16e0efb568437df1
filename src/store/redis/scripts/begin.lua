-- Promises: the session is kept only if its account still is as it was when its owner was believed, and the field to be
-- replaced, if there is one, as it was read: false when the one is not, 0 when the other is not, else how many fields
-- the account has.
-- KEYS: the account, its sources. ARGV: the account as read, as it is to be; the session's field, its row; the source
-- or '', now, most sources, milliseconds until sources are forgotten; the field, its value as read, the new one.
if redis.call('HGET', KEYS[1], ARGV[3]) == ARGV[4] then return redis.call('HLEN', KEYS[1]) end
if redis.call('HGET', KEYS[1], 'account') ~= ARGV[1] then return false end
if ARGV[9] then
  if redis.call('HGET', KEYS[1], ARGV[9]) ~= ARGV[10] then return 0 end
  redis.call('HSET', KEYS[1], ARGV[9], ARGV[11])
end
if ARGV[2] ~= ARGV[1] then redis.call('HSET', KEYS[1], 'account', ARGV[2]) end
redis.call('HSET', KEYS[1], ARGV[3], ARGV[4])
if ARGV[5] ~= '' then
  redis.call('ZADD', KEYS[2], ARGV[6], ARGV[5])
  redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -ARGV[7] - 1)
  redis.call('PEXPIRE', KEYS[2], ARGV[8])
end
return redis.call('HLEN', KEYS[1])
