import { COMMON } from './common.js'

/**
 * What a delivering process does all the time: shows that it is alive, forgets what is old, and looks for what has
 * expired and for messages that have no job. ARGV: owner, its ttl, now, settled messages kept, their age, oldest
 * time of \`adding\`.
 */
export const SWEEP = `${COMMON}
call('SET', P .. 'w:' .. ARGV[1], 1, 'PX', ARGV[2])
local now = tonumber(ARGV[3])
local old = call('ZRANGEBYSCORE', P .. 'settled', '-inf', now - ARGV[5], 'LIMIT', 0, 100)
for _, id in ipairs(old) do forget(id) end
now_all()
trim(tonumber(ARGV[4]) + 1)
local expired = {}
for _, id in ipairs(call('ZRANGEBYSCORE', P .. 'expires', '-inf', now, 'LIMIT', 0, 100)) do
  local row = read(id)
  if not row[4] then forget(id)
  elseif row[4] ~= 'sending' then expired[#expired + 1] = { id, row } end
end
local orphans = {}
for _, id in ipairs(call('ZRANGEBYSCORE', P .. 'adding', '-inf', ARGV[6], 'LIMIT', 0, 100)) do
  local row = read(id)
  if row[4] then orphans[#orphans + 1] = { id, row } else forget(id) end
end
now_all()
return { expired, orphans }`

/**
 * The times of the next messages of a transport, an interval apart, unless they are more than a second ahead. What is stored
 * is the last one: the next is an interval later, by the interval of whoever asks then.
 * ARGV: transport, interval in ms, count. Says whether they are taken, and in how many ms the first is, or may be asked for.
 */
export const RESERVE = `${COMMON}
local key, time = P .. 'rate:' .. ARGV[1], call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local interval = tonumber(ARGV[2])
local first = math.max(tonumber(call('GET', key) or 0) + interval, now)
if first - now > 1000 then return { 0, string.format('%.3f', first - now - 900) } end
local last = first + interval * (ARGV[3] - 1)
call('SET', key, string.format('%.3f', last), 'PX', math.ceil(last + interval - now) + 1000)
return { 1, string.format('%.3f', first - now) }`
