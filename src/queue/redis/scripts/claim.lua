--[[
  Claims messages for delivery by this process.

  KEYS[1], ARGV[1..3]  see common.lua; a row has content, files, owner and op besides the usual fields
  ARGV[4]   this process
  ARGV[5]   now, in ms since the epoch
  ARGV[6..] a record for each message: id, op (name of the claim)

  Returns for each message what its job is to do:
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
local replies = {}
for first = 6, #ARGV, #RECORD_FIELDS do
  local claim = record(first)
  local id = claim.id
  local row = read(id)
  local status, next, owner = row[F.status], row[F.next], row[F.owner]
  local reply
  if status == SENDING and row[F.op] == claim.op then
    -- The client sent the command twice.
    reply = { 'deliver', row }
  elseif status == SENDING then
    if owner == me or call('EXISTS', PREFIX .. 'w:' .. owner) == 1 then reply = { 'recheck' } else reply = { 'recover', row } end
  elseif status ~= QUEUED and status ~= DEFERRED and not (status == HELD and next ~= '') then
    reply = { 'drop' }
  elseif tonumber(row[F.exp]) <= now then
    reply = { 'expire', row }
  elseif is_paused then
    reply = { 'requeue' }
  elseif next ~= '' and tonumber(next) > now then
    reply = { 'wait', next }
  else
    row[F.rev] = row[F.rev] + 1
    row[F.status] = SENDING
    row[F.next] = ''
    call('HSET', PREFIX .. 'm:' .. id, 'status', SENDING, 'owner', me, 'op', claim.op, 'rev', row[F.rev], 'next', '')
    later('ZREM', 's:' .. status, id)
    later('ZREM', 'due', id)
    later('ZADD', 's:' .. SENDING, row[F.seq], id)
    reply = { 'deliver', row }
  end
  replies[#replies + 1] = reply
end
apply_changes()
return replies
