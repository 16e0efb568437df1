-- Promises: the client is kept and logged, if the id is free.
-- KEYS: the stream, its state, the clients. ARGV: an id for a new log; the entry; the client's id, the client.
if redis.call('HSETNX', KEYS[3], ARGV[3], ARGV[4]) == 0 then return 0 end
append(KEYS[1], KEYS[2], ARGV[1], ARGV[2])
return 1
