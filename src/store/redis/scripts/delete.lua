-- Promises: the account is gone with its password, its sessions and its sources, and what every node must be told of it
-- kept in its place until it is in the log; all of it, if the account still is as it was read, or nothing. What only it
-- may have stays with that, to be given up, and so does what is still to be told of other changes; what nobody comes for
-- goes by itself. The same call again answers the same, but for the sessions.
-- KEYS: the account, its sources. ARGV: the note's field, now, the margin of log entries; the account as read; what to
-- tell but for its end; its `external_id` or ''; milliseconds until what is left goes.
local told = redis.call('HGET', KEYS[1], ARGV[1])
if told then return { told } end
if redis.call('HGET', KEYS[1], 'account') ~= ARGV[4] then return false end
local sessions, last = sessions_of(KEYS[1]), tonumber(ARGV[2])
for _, field in ipairs(sessions) do
  last = math.max(last, tonumber(string.match(redis.call('HGET', KEYS[1], field), '^%d+')))
  redis.call('HDEL', KEYS[1], field)
end
redis.call('HDEL', KEYS[1], 'account', 'password')
if ARGV[6] ~= '' then redis.call('HSET', KEYS[1], 'external', ARGV[6]) end
told = string.format('%s %.0f', ARGV[5], last + tonumber(ARGV[3]))
redis.call('HSET', KEYS[1], ARGV[1], told)
redis.call('PEXPIRE', KEYS[1], ARGV[7])
redis.call('DEL', KEYS[2])
table.insert(sessions, 1, told)
return sessions
