-- Promises: what is asked of an account as it is at one moment, and the server's clock at that moment.
-- KEYS: the account. ARGV: fields; none for all of them.
local time = redis.call('TIME')
local values
if #ARGV == 0 then
  values = redis.call('HGETALL', KEYS[1])
else
  values = redis.call('HMGET', KEYS[1], unpack(ARGV))
end
return { time[1], time[2], values }
