-- Promises: the session goes on as it was judged only if it and its account still are as they were judged. The expiry
-- of its access tokens is no part of the judgement and never goes back, so that those who repeat a token at once do
-- not hold each other up.
-- KEYS: the account. ARGV: the account as read; the session's field, what follows the expiry in its row as read and as
-- it is to be; the expiry of the access token.
local kept = redis.call('HMGET', KEYS[1], 'account', ARGV[2])
if kept[1] ~= ARGV[1] or not kept[2] then return false end
local expiry, rest = string.match(kept[2], '^(%d+) (.*)$')
if rest ~= ARGV[3] then return false end
if tonumber(expiry) < tonumber(ARGV[5]) then expiry = ARGV[5] end
redis.call('HSET', KEYS[1], ARGV[2], expiry .. ' ' .. ARGV[4])
return expiry
