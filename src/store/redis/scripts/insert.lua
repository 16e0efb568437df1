-- Promises: the account is kept with all that comes with it, if there is none of this id. It waits, unseen, until it is
-- shown, and goes by itself if that never happens.
-- KEYS: the account, its sources. ARGV: milliseconds until it goes; the source or '', now, milliseconds until sources
-- are forgotten; fields and values.
if redis.call('HGET', KEYS[1], 'waiting') == '1' then return 1 end
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('HSET', KEYS[1], 'waiting', '1', unpack(ARGV, 5))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
if ARGV[2] ~= '' then
  redis.call('ZADD', KEYS[2], ARGV[3], ARGV[2])
  redis.call('PEXPIRE', KEYS[2], ARGV[4])
end
return 1
