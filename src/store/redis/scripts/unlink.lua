-- Promises: the link is gone only if it was there, and with it the fields that are another way in.
-- KEYS: the account. ARGV: the link's field; the others.
for _, field in ipairs(ARGV) do
  if redis.call('HEXISTS', KEYS[1], field) == 0 then return 0 end
end
redis.call('HDEL', KEYS[1], ARGV[1])
return 1
