-- Promises: the client is replaced and that logged, only if it still is as it was read.
-- KEYS: the stream, its state, the clients. ARGV: an id for a new log; the entry; the client's id, the client as read,
-- as it is to be.
if redis.call('HGET', KEYS[3], ARGV[3]) ~= ARGV[4] then return 0 end
redis.call('HSET', KEYS[3], ARGV[3], ARGV[5])
append(KEYS[1], KEYS[2], ARGV[1], ARGV[2])
return 1
