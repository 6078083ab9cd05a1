--[[
  Reserves the times of a transport's next messages, one interval apart, for all processes together. The key holds the time of
  the last reserved message; the next one follows it by the interval of the process that asks then.

  KEYS[1], ARGV[1..3]  see common.lua
  ARGV[4]  transport
  ARGV[5]  interval in ms
  ARGV[6]  number of messages

  Returns { 1, ms until the first time }, or, if that is more than a second ahead, { 0, ms until it can be reserved }.
]]
local key, time = PREFIX .. 'rate:' .. ARGV[4], call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local interval = tonumber(ARGV[5])
local first = math.max(tonumber(call('GET', key) or 0) + interval, now)
if first - now > 1000 then return { 0, string.format('%.3f', first - now - 900) } end
local last = first + interval * (ARGV[6] - 1)
call('SET', key, string.format('%.3f', last), 'PX', math.ceil(last + interval - now) + 1000)
return { 1, string.format('%.3f', first - now) }
