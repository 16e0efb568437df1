-- Promises: the log's state and its entries after a number, as they are at one moment, and which run of the server
-- tells so.
-- KEYS: the stream, its state. ARGV: an id for a new log; the number; most entries.
local id = redis.call('HGET', KEYS[2], 'id') or log_id(KEYS[2], ARGV[1])
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local state = redis.call('HMGET', KEYS[2], 'last', 'pruned')
local entries = redis.call('XRANGE', KEYS[1], '(' .. ARGV[2] .. '-0', '+', 'COUNT', ARGV[3])
local found = {}
for _, entry in ipairs(entries) do
  table.insert(found, string.match(entry[1], '^%d+'))
  table.insert(found, entry[2][2])
end
return { id, run or '', state[1] or '0', state[2] or '0', found }
