--[[
  Hands out the permits of a transport with a rate, for all processes together. There are as many as messages may be sent in
  one window (see rateLimiter.ts). A permit is in use from here until a time that its process names when its message is over; if the
  process never does, until its lease ends.

  KEYS[1], ARGV[1..3]  see common.lua
  ARGV[4]   transport
  ARGV[5]   permits that there are
  ARGV[6]   permits that the process wants
  ARGV[7]   name of this request; the same name again returns the permits that it has got already
  ARGV[8]   lease in ms
  ARGV[9..] pairs: permit, ms until it is free

  Returns { number of permits: NAME:1, NAME:2, …; ms until the next one is free, or -1 if that is unknown }.
]]
local key, time = PREFIX .. 'permits:' .. ARGV[4], call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local most, wanted, name, lease = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7], tonumber(ARGV[8])
for index = 9, #ARGV, 2 do
  -- XX: a permit whose lease has ended is someone else's.
  call('ZADD', key, 'XX', string.format('%.3f', now + ARGV[index + 1]), ARGV[index])
end
call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.3f', now))
local granted = 0
while granted < wanted and call('ZSCORE', key, name .. ':' .. (granted + 1)) do granted = granted + 1 end
if granted == 0 then
  granted = math.max(0, math.min(wanted, most - call('ZCARD', key)))
  for nth = 1, granted do call('ZADD', key, string.format('%.3f', now + lease), name .. ':' .. nth) end
end
local first = call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]
local next = first and first - now or 0
if next > 2000 then next = -1 end
call('PEXPIRE', key, lease)
return { granted, string.format('%.3f', next) }
