--[[
  Stores new states of messages, and removes settled messages beyond the number that is kept.

  KEYS[1], ARGV[1..3]  see common.lua
  ARGV[4]   this process
  ARGV[5]   now, in ms since the epoch
  ARGV[6]   settled messages that are kept at most
  ARGV[7..] a record for each message: id, rev (the revision that the state was made from), op (name of the change), status,
            rest (JSON), due, exp, next (ms since the epoch, or ''), settled (ms since the epoch, or ''), drop ('1' to
            remove the content), losses (process deaths in a row), job ('1' if it needs a new job), budget
            ('PRIORITY:TRANSPORT' if it is held for that transport's budget, else ''), head (JSON that replaces the message's, else ''),
            forget (idempotency keys to forget, as JSON)

  Returns for each message { 'written', name of its wake-up }, or { 'stale' } if another change came first. A message that is not
  open keeps its wake-up.
  Publishes on `done`: this process and the ids of the messages that are settled now, separated by spaces.
]]
local me, now = ARGV[4], ARGV[5]
local replies, done, held_keys = {}, { me }, {}
trim(tonumber(ARGV[6]))
for first = 7, #ARGV, #RECORD_FIELDS do
  local new = record(first)
  local id = new.id
  local key = PREFIX .. 'm:' .. id
  local status, seq, rev, op, lane, wake = unpack(call('HMGET', key, 'status', 'seq', 'rev', 'op', 'lane', 'wake'))
  if op == new.op then
    -- The client sent the command twice.
    replies[#replies + 1] = { 'written', wake_up_of(id, wake) }
  elseif rev ~= new.rev then
    replies[#replies + 1] = { 'stale' }
  else
    local fields = { 'rev', new.rev + 1, 'op', new.op, 'status', new.status, 'rest', new.rest, 'due', new.due,
      'exp', new.exp, 'next', new.next, 'settled', new.settled, 'losses', new.losses }
    if new.drop == '1' then
      for _, field in ipairs({ 'content', '', 'files', '' }) do fields[#fields + 1] = field end
    end
    if new.head ~= '' then
      fields[#fields + 1], fields[#fields + 2] = 'head', new.head
      for _, forgotten in ipairs(cjson.decode(new.forget)) do
        fields[#fields + 1], fields[#fields + 2] = 'key', ''
        later('DEL', 'k:' .. forgotten)
      end
    end
    call('HSET', key, unpack(fields))
    if status ~= new.status then
      later('ZREM', 's:' .. status, id)
      later('ZADD', 's:' .. new.status, seq, id)
      if lane and status ~= SENDING then later('ZREM', 'ready:' .. lane, id) end
    end
    if new.status == QUEUED or new.next ~= '' then
      later('ZADD', 'due', new.due, id)
    elseif status ~= SENDING then
      later('ZREM', 'due', id)
    end
    if new.settled == '' then
      later('ZREM', 'settled', id)
      later('ZADD', 'expires', new.exp, id)
    else
      later('ZREM', 'expires', id)
      later('ZADD', 'settled', new.settled, id)
      done[#done + 1] = id
    end
    if new.job == '1' then later('ZADD', 'adding', server_time(), wake_up_of(id, wake)) end
    if new.budget ~= '' then
      local held = 'held:' .. new.budget
      later('ZADD', held, new.due, id)
      held_keys[held] = true
    end
    replies[#replies + 1] = { 'written', wake_up_of(id, wake) }
  end
end
apply_changes()
for held in pairs(held_keys) do call('ZREMRANGEBYSCORE', PREFIX .. held, '-inf', now) end
if #done > 1 then call('PUBLISH', PREFIX .. 'done', table.concat(done, ' ')) end
return replies
