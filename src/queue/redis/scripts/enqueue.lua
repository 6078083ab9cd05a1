--[[
  Accepts messages.

  KEYS[1], ARGV[1..3]  see common.lua
  ARGV[4]   messages that may be open (not settled) at a time
  ARGV[5]   name of this command: the same name again means that the client sent the command twice
  ARGV[6..] a record for each message: id, mid (Message-ID), print (fingerprint of the content, or ''), key (idempotency key, or ''),
            others (other forms of key and print: each of them and a line feed), ttl (of the key, in ms), head (JSON), content (JSON), files (JSON, or ''), due, exp, next (ms since the epoch, or ''),
            lane (PRIORITY:GROUP)

  Returns a reply for each message:
    { 'accepted' }
    { 'duplicate', id, mid }   the same message was accepted before
    { 'conflict' }             its id or key belongs to a message with other content
    { 'full' }                 too many messages are open
    { 'revoked' }              the caller has been told of a failure
]]
local limit, op, now = tonumber(ARGV[4]), ARGV[5], server_time()
local is_revoked = call('EXISTS', PREFIX .. 'revoked:' .. op) == 1
local open = 0
for _, status in ipairs(OPEN_STATUSES) do open = open + call('ZCARD', PREFIX .. 's:' .. status) end
local seq = tonumber(call('GET', PREFIX .. 'seq') or 0)
local replies, seen, lanes = {}, {}, {}

-- Whether a stored fingerprint is that of the message, in any of its forms; without one, content is not compared.
local function is_same(print, new)
  if print == new.print or print == '' or new.print == '' then return true end
  for other in string.gmatch(new.others, '[^\n]*\n([^\n]*)\n') do
    if print == other then return true end
  end
  return false
end

for first = 6, #ARGV, #RECORD_FIELDS do
  local new = record(first)
  local id, key = new.id, new.key
  local known_mid, known_print, known_by = unpack(call('HMGET', PREFIX .. 'm:' .. id, 'mid', 'print', 'by'))
  local owner = nil
  if known_mid then
    owner = { id = id, mid = known_mid, print = known_print }
  elseif key ~= '' then
    local value = call('GET', PREFIX .. 'k:' .. key)
    for other in string.gmatch(new.others, '([^\n]*)\n[^\n]*\n') do
      if not value then value = call('GET', PREFIX .. 'k:' .. other) end
    end
    if value then
      owner = {}
      owner.id, owner.mid, owner.print = string.match(value, '^([^\n]*)\n([^\n]*)\n(.*)$')
    end
  end
  if is_revoked then
    replies[#replies + 1] = { 'revoked' }
  elseif known_by and not seen[id] and string.match(known_by, '^%S*') == op then
    -- The client sent the command twice.
    replies[#replies + 1] = { 'accepted' }
  elseif owner and is_same(owner.print, new) then
    -- This caller gets its receipt now. If another caller was told of a failure, the message must stay nevertheless.
    add_acceptor(owner.id, op)
    replies[#replies + 1] = { 'duplicate', owner.id, owner.mid }
  elseif owner then
    replies[#replies + 1] = { 'conflict' }
  elseif open >= limit then
    replies[#replies + 1] = { 'full' }
  else
    seq = seq + 1
    call('HSET', PREFIX .. 'm:' .. id, 'seq', seq, 'rev', 0, 'op', op, 'by', op, 'status', QUEUED, 'mid', new.mid, 'print', new.print,
      'key', key, 'head', new.head, 'content', new.content, 'files', new.files, 'due', new.due, 'exp', new.exp,
      'next', new.next, 'lane', new.lane)
    if key ~= '' then
      call('SET', PREFIX .. 'k:' .. key, id .. '\n' .. new.mid .. '\n' .. new.print, 'PX', new.ttl)
    end
    later('ZADD', 's:' .. QUEUED, seq, id)
    later('ZADD', 'due', new.due, id)
    later('ZADD', 'expires', new.exp, id)
    later('ZADD', 'adding', now, id)
    if new.next == '' or tonumber(new.next) <= now then
      later('ZADD', 'ready:' .. new.lane, seq, id)
      lanes[new.lane] = true
    end
    open = open + 1
    replies[#replies + 1] = { 'accepted' }
  end
  seen[id] = true
end
call('SET', PREFIX .. 'seq', seq)
apply_changes()
for lane in pairs(lanes) do join_round(lane) end
return replies
