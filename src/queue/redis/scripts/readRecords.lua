--[[
  Reads records: see src/queue/records.ts.

  KEYS[1], ARGV[1..3]  see common.lua
  ARGV[4..] the ranges: the first key of each, the key that ends it and is not part of it, and how many records to return at
            most (negative: all)

  Returns a list for each range, with { key, ms since the last change, names and values of the hash } for each record.
]]
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ranges = {}
for index = 4, #ARGV, 3 do
  local from, to, limit = '[' .. ARGV[index], '(' .. ARGV[index + 1], tonumber(ARGV[index + 2])
  local rows = {}
  repeat
    -- Expired records don't count: as many again are read until there are enough, or no more.
    local keys = call('ZRANGEBYLEX', PREFIX .. 'records', from, to, 'LIMIT', 0, limit)
    for _, key in ipairs(keys) do
      if tonumber(call('ZSCORE', PREFIX .. 'kept', key) or 0) > now and (limit < 0 or #rows < limit) then
        local fields = call('HGETALL', PREFIX .. 'r:' .. key)
        local at = call('HGET', PREFIX .. 'r:' .. key, 'at') or now
        rows[#rows + 1] = { key, math.max(0, now - at), fields }
      end
      from = '(' .. key
    end
  until limit < 0 or #rows >= limit or #keys < limit
  ranges[#ranges + 1] = rows
end
return ranges
