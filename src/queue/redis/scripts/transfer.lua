--[[
  Stores messages of another queue, with their state.

  KEYS[1], ARGV[1..3]  see common.lua
  ARGV[4]   name of this command
  ARGV[5..] a record for each message: id, mid (Message-ID), print (fingerprint of the content, or ''), key (idempotency key, or ''),
            ttl (of the key, in ms), head (JSON), content (JSON, or ''), files (JSON, or ''), status, rest (JSON, or ''), due, exp, next
            (ms since the epoch, or ''), settled (ms since the epoch, or ''), losses (process deaths in a row), job ('1' if it needs a
            job), budget ('PRIORITY:TRANSPORT' if it is held for that transport's budget, else ''), lane (PRIORITY:GROUP)

  Returns for each message 'stored'; 'known' if its id exists; or 'conflict' if it is open and another message has its key.
]]
local op, now = ARGV[4], server_time()
local seq = tonumber(call('GET', PREFIX .. 'seq') or 0)
local replies, lanes = {}, {}
for first = 5, #ARGV, #RECORD_FIELDS do
  local new = record(first)
  local id, key = new.id, PREFIX .. 'm:' .. new.id
  local taken = new.key ~= '' and call('EXISTS', PREFIX .. 'k:' .. new.key) == 1
  if call('EXISTS', key) == 1 then
    replies[#replies + 1] = 'known'
  elseif taken and new.settled == '' then
    replies[#replies + 1] = 'conflict'
  else
    seq = seq + 1
    call('HSET', key, 'seq', seq, 'rev', 0, 'op', op, 'status', new.status, 'mid', new.mid, 'print', new.print, 'key', new.key,
      'head', new.head, 'content', new.content, 'files', new.files, 'due', new.due, 'exp', new.exp,
      'next', new.next, 'settled', new.settled, 'losses', new.losses, 'lane', new.lane)
    if new.rest ~= '' then call('HSET', key, 'rest', new.rest) end
    if new.key ~= '' and not taken then
      call('SET', PREFIX .. 'k:' .. new.key, id .. '\n' .. new.mid .. '\n' .. new.print, 'PX', new.ttl)
    end
    later('ZADD', 's:' .. new.status, seq, id)
    if new.settled == '' then later('ZADD', 'expires', new.exp, id) else later('ZADD', 'settled', new.settled, id) end
    if new.job == '1' then
      later('ZADD', 'due', new.due, id)
      later('ZADD', 'adding', now, id)
    end
    if new.status == QUEUED and (new.next == '' or tonumber(new.next) <= now) then
      later('ZADD', 'ready:' .. new.lane, seq, id)
      lanes[new.lane] = true
    end
    if new.budget ~= '' then later('ZADD', 'held:' .. new.budget, new.due, id) end
    replies[#replies + 1] = 'stored'
  end
end
call('SET', PREFIX .. 'seq', seq)
apply_changes()
for lane in pairs(lanes) do join_round(lane) end
return replies
