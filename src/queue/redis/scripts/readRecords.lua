--[[
  Reads records: see src/queue/records.ts.

  KEYS[1], ARGV[1..3]  see common.lua
  ARGV[4..] the ranges: the first key of each, and the key that ends it and is not part of it

  Returns a list for each range, with { key, ms since the last change, names and values of the hash } for each record.
]]
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ranges = {}
for index = 4, #ARGV, 2 do
  local rows = {}
  for _, key in ipairs(call('ZRANGEBYLEX', PREFIX .. 'records', '[' .. ARGV[index], '(' .. ARGV[index + 1])) do
    if tonumber(call('ZSCORE', PREFIX .. 'kept', key) or 0) > now then
      local fields = call('HGETALL', PREFIX .. 'r:' .. key)
      local at = call('HGET', PREFIX .. 'r:' .. key, 'at') or now
      rows[#rows + 1] = { key, math.max(0, now - at), fields }
    end
  end
  ranges[#ranges + 1] = rows
end
return ranges
