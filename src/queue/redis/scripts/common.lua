--[[
  Prepended to every script.

  A call from Lua into Redis is the main cost of a script. So each script reads a message in one call, writes it in one
  call, and changes each index once for all messages: later() notes a change, apply_changes() makes the noted changes.

  KEYS[1]  prefix of all keys of the queue, with the hash tag that keeps them in one slot of a cluster: "{PREFIX}:"
  ARGV[1]  the statuses of messages that are not settled, in the order of STATUSES, separated by spaces
  ARGV[2]  names of the fields that each row of the reply has, in that order (see redisRows.ts)
  ARGV[3]  names of the fields that each record among the arguments has, in that order; '' for scripts without records

  The scripts' own arguments begin at ARGV[4].
]]
local PREFIX = KEYS[1]
local call = redis.call

local function words(text)
  local list = {}
  for word in string.gmatch(text, '%S+') do list[#list + 1] = word end
  return list
end

-- Statuses are named here by their order, and written nowhere else in Lua.
local OPEN_STATUSES = words(ARGV[1])
local QUEUED, SENDING, DEFERRED, HELD = unpack(OPEN_STATUSES)

-- F.NAME is the index of a field in a row.
local ROW_FIELDS = words(ARGV[2])
local F = {}
for index, name in ipairs(ROW_FIELDS) do F[name] = index end

local RECORD_FIELDS = words(ARGV[3])

-- The record whose fields begin at ARGV[first].
local function record(first)
  local fields = {}
  for index, name in ipairs(RECORD_FIELDS) do fields[name] = ARGV[first + index - 1] end
  return fields
end

-- The row of a message; row[F.status] is false if there is none.
local function read(id)
  return call('HMGET', PREFIX .. 'm:' .. id, unpack(ROW_FIELDS))
end

-- Whether a message waits for delivery, now or at a time. `next` is its time, or ''.
local function is_open(status, next)
  return status == QUEUED or status == DEFERRED or (status == HELD and next ~= '')
end

-- Whether it waits and its time has come.
local function is_ready(status, next, now)
  return is_open(status, next) and (next == '' or tonumber(next) <= now)
end

-- The name of a message's wake-up. It is the message's id until two messages exchange theirs: see claim.lua.
local function wake_up_of(id, wake)
  return wake and wake ~= '' and wake or id
end

local changes = {}

local function later(command, key, a, b)
  local name = command .. key
  local list = changes[name]
  if not list then
    list = { command, PREFIX .. key }
    changes[name] = list
  end
  list[#list + 1] = a
  if b then list[#list + 1] = b end
end

local function apply_changes()
  for _, list in pairs(changes) do call(unpack(list)) end
  changes = {}
end

-- Adds a group to the end of the round of its priority, unless it has its turn in it already. A lane is PRIORITY:GROUP.
local function join_round(lane)
  local priority, group = string.match(lane, '^(%d+):(.*)$')
  local turns = PREFIX .. 'turns:' .. priority
  local last = call('ZRANGE', turns, -1, -1, 'WITHSCORES')[2] or 0
  call('ZADD', turns, 'NX', last + 1, group)
  return turns, group
end

-- 1 if BullMQ's queue is paused, else 0.
local function paused()
  return call('HEXISTS', PREFIX .. 'mail:meta', 'paused')
end

-- Milliseconds since the epoch on Redis's clock, which all processes have in common.
local function server_time()
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Most commands that `by` names. Beyond it, it also names this, which is never revoked.
local MOST_ACCEPTORS, UNNAMED = 20, '*'

-- Notes that another command has accepted a message that can still be revoked.
local function add_acceptor(id, op)
  local by, rev = unpack(call('HMGET', PREFIX .. 'm:' .. id, 'by', 'rev'))
  if not by or rev ~= '0' then return end
  local names = words(by)
  if #names > MOST_ACCEPTORS then return end
  call('HSET', PREFIX .. 'm:' .. id, 'by', by .. ' ' .. (#names == MOST_ACCEPTORS and UNNAMED or op))
end

-- Removes a message and its entries in the indexes.
local function forget(id)
  local status, lane, wake = unpack(call('HMGET', PREFIX .. 'm:' .. id, 'status', 'lane', 'wake'))
  if status then later('ZREM', 's:' .. status, id) end
  if lane then later('ZREM', 'ready:' .. lane, id) end
  if wake then later('HDEL', 'wakes', wake) end
  later('ZREM', 'due', id)
  later('ZREM', 'settled', id)
  later('ZREM', 'expires', id)
  later('ZREM', 'adding', wake_up_of(id, wake))
  later('DEL', 'm:' .. id)
end

-- Removes the messages that were settled first, up to 100 of them, until at most `most` settled ones are left.
local function trim(most)
  local over = call('ZCARD', PREFIX .. 'settled') - most
  if over <= 0 then return end
  for _, id in ipairs(call('ZRANGE', PREFIX .. 'settled', 0, math.min(over, 100) - 1)) do forget(id) end
  apply_changes()
end
