-- Promises: the entries are in the log, in their order, and the note that they were still to be written is gone.
-- KEYS: the stream, its state, the notes. ARGV: an id for a new log; the note or ''; the entries.
for i = 3, #ARGV do append(KEYS[1], KEYS[2], ARGV[1], ARGV[i]) end
if ARGV[2] ~= '' then redis.call('ZREM', KEYS[3], ARGV[2]) end
return redis.status_reply('OK')
