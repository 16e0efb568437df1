-- Promises: the client is gone and that logged, if there was one.
-- KEYS: the stream, its state, the clients. ARGV: an id for a new log; the entry; the client's id.
if redis.call('HDEL', KEYS[3], ARGV[3]) == 0 then return 0 end
append(KEYS[1], KEYS[2], ARGV[1], ARGV[2])
return 1
