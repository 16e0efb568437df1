-- Promises: the password is replaced and every session but one ended, only if the account still is as it was when its
-- owner was believed, and the one session is there. Otherwise nothing changes. The same call again answers the same.
-- KEYS: the account. ARGV: the note's field, now, the margin of log entries; the account as read, as it is to be; the
-- password's hash; the field of the session that stays.
local told = redis.call('HGET', KEYS[1], ARGV[1])
if told then return told end
if redis.call('HGET', KEYS[1], 'account') ~= ARGV[4] then return false end
if redis.call('HEXISTS', KEYS[1], ARGV[7]) == 0 then return false end
redis.call('HSET', KEYS[1], 'account', ARGV[5], 'password', ARGV[6])
local others = {}
for _, field in ipairs(sessions_of(KEYS[1])) do
  if field ~= ARGV[7] then table.insert(others, field) end
end
told = end_sessions(KEYS[1], ARGV[1], others, ARGV[2], ARGV[3])
redis.call('HSET', KEYS[1], ARGV[1], told)
return told
