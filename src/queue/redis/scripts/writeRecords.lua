--[[
  Changes records: see src/queue/records.ts.

  KEYS[1], ARGV[1..3]  see common.lua
  ARGV[4..] a record for each change: key, keep (until when it is kept, in ms since the epoch), add and raise (JSON: numbers by
            name), document (or ''), remove ('1' to delete the record)

  Returns 0.
]]
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function delete(key)
  call('DEL', PREFIX .. 'r:' .. key)
  call('ZREM', PREFIX .. 'records', key)
  call('ZREM', PREFIX .. 'kept', key)
end
for _, key in ipairs(call('ZRANGEBYSCORE', PREFIX .. 'kept', '-inf', now, 'LIMIT', 0, 20)) do delete(key) end
for first = 4, #ARGV, #RECORD_FIELDS do
  local change = record(first)
  local key = change.key
  if change.remove == '1' then
    delete(key)
  else
    local hash = PREFIX .. 'r:' .. key
    for name, amount in pairs(cjson.decode(change.add)) do call('HINCRBYFLOAT', hash, 'n:' .. name, amount) end
    for name, least in pairs(cjson.decode(change.raise)) do
      local value = tonumber(call('HGET', hash, 'n:' .. name))
      if not value or value < least then call('HSET', hash, 'n:' .. name, string.format('%.17g', least)) end
    end
    if change.document ~= '' then call('HSET', hash, 'document', change.document) end
    call('HSET', hash, 'at', now)
    call('ZADD', PREFIX .. 'records', 0, key)
    call('ZADD', PREFIX .. 'kept', change.keep, key)
  end
end
return 0
