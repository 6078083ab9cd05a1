--[[
  The heartbeat of a delivering process. Also removes settled messages that are old or too many, and finds messages that have
  expired or have no job.

  KEYS[1], ARGV[1..3]  see common.lua
  ARGV[4]  this process
  ARGV[5]  for how long it counts as alive, in ms
  ARGV[6]  now, in ms since the epoch
  ARGV[7]  settled messages that are kept at most
  ARGV[8]  for how long a settled message is kept at most, in ms
  ARGV[9]  messages that have waited for their job for longer are orphans; in ms

  Returns { expired, orphans }: lists of { id, row }, with at most 100 messages each.
]]
local me, alive, now, count, age, orphaned_after = unpack(ARGV, 4, 9)
local waiting_since = server_time() - orphaned_after
call('SET', PREFIX .. 'w:' .. me, 1, 'PX', alive)
for _, id in ipairs(call('ZRANGEBYSCORE', PREFIX .. 'settled', '-inf', now - age, 'LIMIT', 0, 100)) do forget(id) end
apply_changes()
trim(count + 1)
local expired = {}
for _, id in ipairs(call('ZRANGEBYSCORE', PREFIX .. 'expires', '-inf', now, 'LIMIT', 0, 100)) do
  local row = read(id)
  if not row[F.status] then
    forget(id)
  elseif row[F.status] ~= SENDING then
    expired[#expired + 1] = { id, row }
  end
end
local orphans = {}
for _, wake in ipairs(call('ZRANGEBYSCORE', PREFIX .. 'adding', '-inf', waiting_since, 'LIMIT', 0, 100)) do
  local id = call('HGET', PREFIX .. 'wakes', wake) or wake
  local row = read(id)
  if row[F.status] and wake_up_of(id, row[F.wake]) == wake then
    orphans[#orphans + 1] = { id, row }
  else
    later('ZREM', 'adding', wake)
  end
end
apply_changes()
return { expired, orphans }
