--[[
  Makes messages due that are held for a transport's budget: by priority, and within a priority the one that would be due first.
  Messages that are due already, or no longer held, only leave the index.

  KEYS[1], ARGV[1..3]  see common.lua
  ARGV[4]   now, in ms since the epoch
  ARGV[5]   messages to wake at most
  ARGV[6..] 'PRIORITY:TRANSPORT' of the indexes, in the order in which they are read

  Returns { id, row } of each message that needs a new job.
]]
local now, left = ARGV[4], tonumber(ARGV[5])
local woken = {}
for index = 6, #ARGV do
  local held = PREFIX .. 'held:' .. ARGV[index]
  while left > 0 do
    local ids = call('ZRANGE', held, 0, left - 1)
    if #ids == 0 then break end
    call('ZREM', held, unpack(ids))
    for _, id in ipairs(ids) do
      local row = read(id)
      local next = row[F.next]
      if row[F.status] == HELD and next ~= '' and tonumber(next) > tonumber(now) then
        call('HSET', PREFIX .. 'm:' .. id, 'rev', row[F.rev] + 1, 'due', now, 'next', now)
        later('ZADD', 'due', now, id)
        later('ZADD', 'adding', server_time(), wake_up_of(id, row[F.wake]))
        woken[#woken + 1] = { id, row }
        left = left - 1
      end
    end
  end
end
apply_changes()
return woken
