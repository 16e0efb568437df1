-- Promises: the account is changed, its sessions ended where that follows, and what every node must be told of it kept
-- with the account until it is in the log; all of it, if the account still is as it was read, or nothing. The same
-- call again answers the same.
-- KEYS: the account. ARGV: the note's field, now, the margin of log entries; the account as read, as it is to be; the
-- password's hash or ''; 1 if it loses its address; what to tell but for its end, or ''; 1 if its sessions end.
local told = redis.call('HGET', KEYS[1], ARGV[1])
if told then return { told } end
if redis.call('HGET', KEYS[1], 'account') ~= ARGV[4] then return false end
redis.call('HSET', KEYS[1], 'account', ARGV[5])
if ARGV[6] ~= '' then redis.call('HSET', KEYS[1], 'password', ARGV[6]) end
if ARGV[7] == '1' then redis.call('HDEL', KEYS[1], 'email') end
told = ''
local sessions = {}
if ARGV[8] ~= '' or ARGV[9] == '1' then sessions = sessions_of(KEYS[1]) end
if ARGV[8] ~= '' then
  local last = tonumber(ARGV[2])
  for _, field in ipairs(sessions) do
    last = math.max(last, tonumber(string.match(redis.call('HGET', KEYS[1], field), '^%d+')))
  end
  told = string.format('%s %.0f', ARGV[8], last + tonumber(ARGV[3]))
  redis.call('HSET', KEYS[1], ARGV[1], told)
end
local answer = { told }
if ARGV[9] == '1' then
  for _, field in ipairs(sessions) do
    redis.call('HDEL', KEYS[1], field)
    table.insert(answer, field)
  end
end
return answer
