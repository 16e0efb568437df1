-- Promises: those of the sessions that are there are gone, and what every node must be told of them is kept with the
-- account until it is in the log. The same call again answers the same.
-- KEYS: the account. ARGV: the note's field, now, the margin of log entries; the sessions' fields.
local told = redis.call('HGET', KEYS[1], ARGV[1])
if told then return told end
local fields = { unpack(ARGV, 4) }
return end_sessions(KEYS[1], ARGV[1], fields, ARGV[2], ARGV[3])
