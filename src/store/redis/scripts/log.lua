-- What scripts share that work on the change log: a stream whose entries are numbered 1-0, 2-0, …; and its state: a
-- random id, the last number given, the highest number deleted.

-- The log's id; a log that has none begins with `fresh`.
local function log_id(state, fresh)
  redis.call('HSETNX', state, 'id', fresh)
  return redis.call('HGET', state, 'id')
end

-- Appends an entry.
local function append(stream, state, fresh, change)
  log_id(state, fresh)
  local number = redis.call('HINCRBY', state, 'last', 1)
  redis.call('XADD', stream, string.format('%.0f-0', number), 'change', change)
end

