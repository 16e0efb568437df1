-- Promises: the refresh tokens of these sessions are ended, and how many had any.
-- KEYS: the account. ARGV: the sessions' fields.
local ended = 0
for _, field in ipairs(ARGV) do
  local row = redis.call('HGET', KEYS[1], field)
  local expiry, rest = string.match(row or '', '^(%d+) live (.*)$')
  if expiry then
    redis.call('HSET', KEYS[1], field, expiry .. ' ended ' .. rest)
    ended = ended + 1
  end
end
return ended
