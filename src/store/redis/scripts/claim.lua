-- Promises: what is claimed changes hands only if it still is as it was read. A claim that nobody confirms goes by
-- itself. The same call again changes nothing.
-- KEYS: the claim. ARGV: as read, or '' for none; as it is to be; milliseconds until it goes, or 0 for never.
local found = redis.call('GET', KEYS[1]) or ''
if found ~= ARGV[1] and found ~= ARGV[2] then return 0 end
if ARGV[2] == '' then
  redis.call('DEL', KEYS[1])
elseif ARGV[3] == '0' then
  redis.call('SET', KEYS[1], ARGV[2])
else
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
return 1
