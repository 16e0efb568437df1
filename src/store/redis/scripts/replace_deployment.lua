-- Promises: the deployment is replaced and that logged, only if it still is as it was.
-- KEYS: the stream, its state, the deployment. ARGV: an id for a new log; the entry; the deployment as it was, as it is
-- to be.
if redis.call('GET', KEYS[3]) ~= ARGV[3] then return 0 end
redis.call('SET', KEYS[3], ARGV[4])
append(KEYS[1], KEYS[2], ARGV[1], ARGV[2])
return 1
