-- Promises: the link is kept only if its account still is as it was read, and has no link to the same identity.
-- KEYS: the account. ARGV: the account as read; the link's field, its row; how every link to the identity begins.
if redis.call('HGET', KEYS[1], 'account') ~= ARGV[1] then return 0 end
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.sub(field, 1, 2) == 'l:' then
    local row = redis.call('HGET', KEYS[1], field)
    if string.sub(row, 1, #ARGV[4]) == ARGV[4] then return 0 end
  end
end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
return 1
