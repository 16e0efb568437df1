-- Promises: it is noted, with the time on the server's clock, that a change is under way which the log must tell of.
-- KEYS: the notes. ARGV: the note.
redis.call('ZADD', KEYS[1], redis.call('TIME')[1], ARGV[1])
return redis.status_reply('OK')
