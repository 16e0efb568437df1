-- Promises: one more is counted, if it may pass now; else how long it takes until it may. By the generic cell rate
-- algorithm: the counter is when all that was let through would have come at an even pace.
-- KEYS: the counter. ARGV: the pace, the allowance, and the time, or '' for the server's; all in microseconds.
local time = redis.call('TIME')
local now = tonumber(ARGV[3]) or time[1] * 1000000 + time[2]
local pace, allowance = tonumber(ARGV[1]), tonumber(ARGV[2])
local due = tonumber(redis.call('GET', KEYS[1]) or 0)
-- A clock that was set back must not make anybody wait for longer than a quiet time would have.
due = math.max(now, math.min(due, now + allowance)) + pace
local ahead = due - now - allowance
if ahead > 0 then return string.format('%.0f', ahead) end
redis.call('SET', KEYS[1], string.format('%.0f', due), 'PX', string.format('%.0f', math.ceil((due - now) / 1000)))
return '0'
