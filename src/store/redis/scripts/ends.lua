-- What scripts share that end sessions. A row begins with when the session's last access token expires.

-- Deletes these sessions, and tells every node of each: what is told is kept under `note` until it is in the log.
local function end_sessions(account, note, fields, now, margin)
  local told = {}
  for _, field in ipairs(fields) do
    local row = redis.call('HGET', account, field)
    if row then
      redis.call('HDEL', account, field)
      local last = math.max(tonumber(string.match(row, '^%d+')), tonumber(now))
      table.insert(told, string.format('session %s %.0f', string.sub(field, 3), last + tonumber(margin)))
    end
  end
  local text = table.concat(told, '\n')
  if text ~= '' then redis.call('HSET', account, note, text) end
  return text
end

-- The fields of all sessions of an account.
local function sessions_of(account)
  local sessions = {}
  for _, field in ipairs(redis.call('HKEYS', account)) do
    if string.sub(field, 1, 2) == 's:' then table.insert(sessions, field) end
  end
  return sessions
end

