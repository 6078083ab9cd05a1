import { COMMON } from './common.js'

/** Takes messages in. ARGV: limit, op, now, then 11 for each. */
export const ACCEPT = `${COMMON}
local limit, op, now = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local open = 0
for _, status in ipairs({'queued', 'sending', 'deferred', 'held'}) do
  open = open + call('ZCARD', P .. 's:' .. status)
end
local seq = tonumber(call('GET', P .. 'seq') or 0)
local answers, seen = {}, {}
for i = 4, #ARGV, 11 do
  local id, mid, print, key, ttl = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]
  local m = P .. 'm:' .. id
  local known = call('HMGET', m, 'mid', 'print', 'op')
  local owner = nil
  if known[1] then
    owner = { id, known[1], known[2] }
  elseif key ~= '' then
    local value = call('GET', P .. 'k:' .. key)
    if value then owner = { string.match(value, '^([^\\n]*)\\n([^\\n]*)\\n(.*)$') } end
  end
  if owner and known[3] == op and not seen[id] then
    -- The command has come twice.
    answers[#answers + 1] = { 'queued' }
  elseif owner and (owner[3] == print or owner[3] == '' or print == '') then
    -- Somebody has its receipt now: whoever accepted it in doubt may no longer take it back.
    if call('ZSCORE', P .. 'adding', owner[1]) then call('HSET', P .. 'm:' .. owner[1], 'op', op) end
    answers[#answers + 1] = { 'duplicate', owner[1], owner[2] }
  elseif owner then
    answers[#answers + 1] = { 'conflict' }
  elseif open >= limit then
    answers[#answers + 1] = { 'full' }
  else
    seq = seq + 1
    call('HSET', m, 'seq', seq, 'rev', 0, 'op', op, 'status', 'queued', 'mid', mid, 'print', print, 'key', key,
      'head', ARGV[i + 5], 'content', ARGV[i + 6], 'files', ARGV[i + 7], 'due', ARGV[i + 8], 'exp', ARGV[i + 9],
      'next', ARGV[i + 10])
    if key ~= '' then
      call('SET', P .. 'k:' .. key, id .. '\\n' .. mid .. '\\n' .. print, 'PX', ttl)
    end
    later('ZADD', 's:queued', seq, id)
    later('ZADD', 'due', ARGV[i + 8], id)
    later('ZADD', 'expires', ARGV[i + 9], id)
    later('ZADD', 'adding', now, id)
    open = open + 1
    answers[#answers + 1] = { 'queued' }
  end
  seen[id] = true
end
call('SET', P .. 'seq', seq)
now_all()
return answers`

/** Takes back what was accepted while nobody could be told. ARGV: op, then ids. */
export const REVOKE = `${COMMON}
for i = 2, #ARGV do
  local known = call('HMGET', P .. 'm:' .. ARGV[i], 'op', 'status', 'key')
  if known[1] == ARGV[1] and known[2] == 'queued' then
    if known[3] ~= '' then call('DEL', P .. 'k:' .. known[3]) end
    forget(ARGV[i])
  end
end
now_all()
return 0`
