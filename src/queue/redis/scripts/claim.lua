--[[
  Claims messages for delivery by this process.

  Each message has one wake-up, in a job of BullMQ, whose order knows nothing of groups. So a wake-up only says that some message
  of this priority can be claimed. While several groups wait, the next message of the group whose turn it is takes the wake-up,
  and the message that had it gets the other's in return: each message still has one wake-up, and a job that is run again, since
  its process died, finds the message that it was used for.

  KEYS[1], ARGV[1..3]  see common.lua; a row has content, files, owner, op and lane besides the usual fields
  ARGV[4]   this process
  ARGV[5]   now, in ms since the epoch
  ARGV[6..] a record for each wake-up: wake (its name), op (name of the claim)

  Returns for each wake-up what its job is to do:
    { 'deliver', row }   the message is `sending` now, and this process delivers it
    { 'wait', time }     not due before that time, in ms since the epoch
    { 'recheck' }        a live process is delivering it
    { 'recover', row }   a process that no longer exists was delivering it
    { 'expire', row }    its time is over
    { 'requeue' }        the queue is paused
    { 'drop' }           the message needs no job
]]
local me, now = ARGV[4], tonumber(ARGV[5])
local is_paused = paused() == 1
-- Messages that left their lane without a claim are skipped, up to this many for each claim.
local MOST_SKIPPED = 100
local exchanged = call('EXISTS', PREFIX .. 'wakes') == 1

local function has_expired(row)
  return tonumber(row[F.exp]) <= now
end

local function give(id, wake)
  exchanged = true
  if wake == id then
    call('HDEL', PREFIX .. 'wakes', wake)
    call('HDEL', PREFIX .. 'm:' .. id, 'wake')
  else
    call('HSET', PREFIX .. 'wakes', wake, id)
    call('HSET', PREFIX .. 'm:' .. id, 'wake', wake)
  end
end

-- The message whose turn it is when this one could be claimed: this one itself, unless others of its priority wait, too.
local function in_turn(id, row)
  local lane = row[F.lane]
  -- Without a lane, it was accepted by an earlier version.
  if not lane then return id, row end
  local priority, group = string.match(lane, '^(%d+):(.*)$')
  local turns = PREFIX .. 'turns:' .. priority
  local groups = call('ZCARD', turns)
  if groups == 0 or (groups == 1 and call('ZSCORE', turns, group)) then return id, row end
  call('ZADD', PREFIX .. 'ready:' .. lane, row[F.seq], id)
  join_round(lane)
  for _ = 1, MOST_SKIPPED do
    local next_group = call('ZRANGE', turns, 0, 0)[1]
    local next_lane = priority .. ':' .. next_group
    local other = call('ZRANGE', PREFIX .. 'ready:' .. next_lane, 0, 0)[1]
    call('ZREM', turns, next_group)
    if other then
      local other_row = other == id and row or read(other)
      call('ZREM', PREFIX .. 'ready:' .. next_lane, other)
      -- An empty group leaves the round at its next turn.
      join_round(next_lane)
      if is_ready(other_row[F.status], other_row[F.next], now) and not has_expired(other_row) then return other, other_row end
    end
  end
  return id, row
end

local replies = {}
for first = 6, #ARGV, #RECORD_FIELDS do
  local claim = record(first)
  local wake = claim.wake
  local id = exchanged and call('HGET', PREFIX .. 'wakes', wake) or wake
  local row = read(id)
  local status, next, owner = row[F.status], row[F.next], row[F.owner]
  local reply
  if status == SENDING and row[F.op] == claim.op then
    -- The client sent the command twice.
    reply = { 'deliver', row }
  elseif wake_up_of(id, row[F.wake]) ~= wake then
    -- What is left of the wake-up of a message that no longer exists. This message has another.
    reply = { 'drop' }
  elseif status == SENDING then
    if owner == me or call('EXISTS', PREFIX .. 'w:' .. owner) == 1 then reply = { 'recheck' } else reply = { 'recover', row } end
  elseif not is_open(status, next) then
    reply = { 'drop' }
  elseif has_expired(row) then
    reply = { 'expire', row }
  elseif is_paused then
    reply = { 'requeue' }
  elseif not is_ready(status, next, now) then
    reply = { 'wait', next }
  else
    local other, other_row = in_turn(id, row)
    if other ~= id then
      give(id, wake_up_of(other, other_row[F.wake]))
      give(other, wake)
      id, row = other, other_row
    end
    local was = row[F.status]
    row[F.rev] = row[F.rev] + 1
    row[F.status] = SENDING
    row[F.next] = ''
    call('HSET', PREFIX .. 'm:' .. id, 'status', SENDING, 'owner', me, 'op', claim.op, 'rev', row[F.rev], 'next', '')
    later('ZREM', 's:' .. was, id)
    later('ZREM', 'due', id)
    if row[F.lane] then later('ZREM', 'ready:' .. row[F.lane], id) end
    later('ZADD', 's:' .. SENDING, row[F.seq], id)
    reply = { 'deliver', row }
  end
  replies[#replies + 1] = reply
end
apply_changes()
return replies
