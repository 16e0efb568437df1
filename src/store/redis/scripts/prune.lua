-- Promises: entries past their end are deleted, and the highest number deleted is known. Of so many entries at most,
-- from the oldest on.
-- KEYS: the stream, its state. ARGV: now, most to delete, most to look at.
local deleted, highest = 0, 0
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', ARGV[3])) do
  if deleted >= tonumber(ARGV[2]) then break end
  if tonumber(string.match(entry[2][2], '%d+$')) <= tonumber(ARGV[1]) then
    redis.call('XDEL', KEYS[1], entry[1])
    deleted, highest = deleted + 1, tonumber(string.match(entry[1], '^%d+'))
  end
end
if highest > tonumber(redis.call('HGET', KEYS[2], 'pruned') or 0) then
  redis.call('HSET', KEYS[2], 'pruned', string.format('%.0f', highest))
end
return deleted
