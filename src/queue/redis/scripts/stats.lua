--[[
  Counts messages.

  KEYS[1], ARGV[1..3]  see common.lua
  ARGV[4]   now, in ms since the epoch
  ARGV[5..] statuses

  Returns { paused (0 or 1), messages ever accepted, age of the oldest due message in ms, counts by status }.
]]
local now = tonumber(ARGV[4])
local since = tonumber(call('ZRANGE', PREFIX .. 'due', 0, 0, 'WITHSCORES')[2] or now)
local counts = {}
for index = 5, #ARGV do counts[#counts + 1] = call('ZCARD', PREFIX .. 's:' .. ARGV[index]) end
return { paused(), tonumber(call('GET', PREFIX .. 'seq') or 0), math.max(0, now - since), counts }
