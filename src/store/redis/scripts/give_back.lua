-- Promises: one that was counted counts for nothing any more.
-- KEYS: the counter. ARGV: the pace, in microseconds.
local due = redis.call('GET', KEYS[1])
if due then redis.call('SET', KEYS[1], string.format('%.0f', due - ARGV[1]), 'KEEPTTL') end
return redis.status_reply('OK')
