--[[
  Finds messages that can be claimed now, whichever process holds their jobs. A process with free slots and no jobs then claims
  them by the names of their wake-ups, and the jobs find that nothing is left to do.

  KEYS[1], ARGV[1..3]  see common.lua
  ARGV[4]  now, in ms since the epoch
  ARGV[5]  messages to find at most
  ARGV[6]  the highest priority

  Returns { name of the wake-up, priority } for each: first those in lanes, by priority, and in the order of acceptance within a
  group; then those that were delivered or held before and are due again. None while the queue is paused.
]]
local now, most, highest = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local found, is_found = {}, {}
if paused() == 1 then return found end
-- Groups without messages that are looked at beyond that.
local MOST_EMPTY = 100

local function add(id, wake, priority)
  is_found[id] = true
  found[#found + 1] = { wake_up_of(id, wake), priority }
end

-- Maintenance settles those that have expired.
local function can_begin(status, next, exp)
  return is_ready(status, next, now) and tonumber(exp) > now
end

for priority = highest, 0, -1 do
  local turns = 'turns:' .. priority
  for _, group in ipairs(call('ZRANGE', PREFIX .. turns, 0, most + MOST_EMPTY - 1)) do
    if #found == most then break end
    local ready = 'ready:' .. priority .. ':' .. group
    local ids = call('ZRANGE', PREFIX .. ready, 0, most - #found - 1)
    -- It would leave the round at its next turn, and would hide the groups behind it until then.
    if #ids == 0 then later('ZREM', turns, group) end
    for _, id in ipairs(ids) do
      local status, next, exp, wake = unpack(call('HMGET', PREFIX .. 'm:' .. id, 'status', 'next', 'exp', 'wake'))
      if can_begin(status, next, exp) then
        add(id, wake, priority)
      else
        later('ZREM', ready, id)
      end
    end
  end
  if #found == most then break end
end
apply_changes()
if #found < most then
  -- `due` has those of the lanes, too. They are fewer than this limit, so there is room for others.
  for _, id in ipairs(call('ZRANGEBYSCORE', PREFIX .. 'due', '-inf', now, 'LIMIT', 0, most)) do
    local status, next, exp, wake, lane = unpack(call('HMGET', PREFIX .. 'm:' .. id, 'status', 'next', 'exp', 'wake', 'lane'))
    -- Without a lane, it was accepted by an earlier version, and waits for its job.
    if lane and not is_found[id] and can_begin(status, next, exp) then
      add(id, wake, tonumber(string.match(lane, '^%d+')))
      if #found == most then break end
    end
  end
end
return found
