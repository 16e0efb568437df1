-- Promises: the signing key is kept and logged only if those that are kept are exactly those that were known.
-- KEYS: the stream, its state, the keys. ARGV: an id for a new log; the entry; the key's id, the key; the known ids.
if redis.call('HLEN', KEYS[3]) ~= #ARGV - 4 then return 0 end
for i = 5, #ARGV do
  if redis.call('HEXISTS', KEYS[3], ARGV[i]) == 0 then return 0 end
end
redis.call('HSET', KEYS[3], ARGV[3], ARGV[4])
append(KEYS[1], KEYS[2], ARGV[1], ARGV[2])
return 1
