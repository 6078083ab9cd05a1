/**
 * What happens in Redis at once, as Lua. All keys begin with one prefix:
 *
 * - `m:ID`, a hash: one message; `rev` grows with each change, `op` names the last one, so that a command that was
 *   sent twice is known again
 * - `all`, `s:STATUS`: ids by place in the order of acceptance (`seq`)
 * - `settled`, `expires`: ids by time of settlement, and by expiry of what waits
 * - `adding`: ids of messages that may have no job in BullMQ yet, by the time of that
 * - `k:KEY`: whose idempotency key it is, for as long as it is remembered
 * - `w:OWNER`: there while the delivering process is alive
 *
 * BullMQ's own keys are `mail:…`; of them only `mail:meta` is read here, whether the queue is paused.
 */
const COMMON = `
local P = KEYS[1]
local call = redis.call
local function paused() return call('HEXISTS', P .. 'mail:meta', 'paused') end
local function forget(id)
  local m = P .. 'm:' .. id
  local status = call('HGET', m, 'status')
  if status then call('ZREM', P .. 's:' .. status, id) end
  call('ZREM', P .. 'all', id)
  call('ZREM', P .. 'settled', id)
  call('ZREM', P .. 'expires', id)
  call('ZREM', P .. 'adding', id)
  call('DEL', m)
end
local function trim(most)
  local over = call('ZCARD', P .. 'settled') - most
  if over <= 0 then return end
  for _, id in ipairs(call('ZRANGE', P .. 'settled', 0, math.min(over, 100) - 1)) do forget(id) end
end
local function head(id)
  return call('HMGET', P .. 'm:' .. id, 'seq', 'rev', 'losses', 'status', 'due', 'exp', 'next', 'settled', 'rest', 'head')
end
`

/** Takes messages in. ARGV: limit, op, now, then 11 for each. */
const ACCEPT = `${COMMON}
local limit, op, now = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local open = 0
for _, status in ipairs({'queued', 'sending', 'deferred', 'held'}) do
  open = open + call('ZCARD', P .. 's:' .. status)
end
local answers = {}
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
  if owner and known[3] == op then
    answers[#answers + 1] = { 'queued' }
  elseif owner and owner[3] == print then
    answers[#answers + 1] = { 'duplicate', owner[1], owner[2] }
  elseif owner then
    answers[#answers + 1] = { 'conflict' }
  elseif open >= limit then
    answers[#answers + 1] = { 'full' }
  else
    local seq = call('INCR', P .. 'seq')
    call('HSET', m, 'seq', seq, 'rev', 0, 'op', op, 'status', 'queued', 'mid', mid, 'print', print,
      'head', ARGV[i + 5], 'content', ARGV[i + 6], 'due', ARGV[i + 8], 'exp', ARGV[i + 9])
    if ARGV[i + 7] ~= '' then call('HSET', m, 'files', ARGV[i + 7]) end
    if ARGV[i + 10] ~= '' then call('HSET', m, 'next', ARGV[i + 10]) end
    if key ~= '' then
      call('SET', P .. 'k:' .. key, id .. '\\n' .. mid .. '\\n' .. print, 'PX', ttl)
    end
    call('ZADD', P .. 'all', seq, id)
    call('ZADD', P .. 's:queued', seq, id)
    call('ZADD', P .. 'expires', ARGV[i + 9], id)
    call('ZADD', P .. 'adding', now, id)
    open = open + 1
    answers[#answers + 1] = { 'queued' }
  end
end
return answers`

/** Takes back what was accepted while nobody could be told. ARGV: op, then ids. */
const REVOKE = `${COMMON}
for i = 2, #ARGV do
  local known = call('HMGET', P .. 'm:' .. ARGV[i], 'op', 'status')
  if known[1] == ARGV[1] and known[2] == 'queued' then forget(ARGV[i]) end
end
return 0`

/**
 * Begins deliveries. Says for each what is to be done with its job: deliver it (\`go\`), wake up later (\`wait\`,
 * \`later\`), or let it go (\`drop\`, \`paused\`); or that its message is \`expired\` or \`lost\` with a process.
 * ARGV: owner, now, then id and op for each.
 */
const BEGIN = `${COMMON}
local me, now = ARGV[1], tonumber(ARGV[2])
local resting = paused() == 1
local answers = {}
local function answer(...) answers[#answers + 1] = { ... } end
for i = 3, #ARGV, 2 do
  local id, op = ARGV[i], ARGV[i + 1]
  local m = P .. 'm:' .. id
  local v = call('HMGET', m, 'status', 'seq', 'exp', 'next', 'owner', 'op')
  local status, owner = v[1], v[5]
  if status == 'sending' and v[6] == op then
    answer('go', head(id), call('HMGET', m, 'content', 'files'))
  elseif status == 'sending' then
    if owner == me or call('EXISTS', P .. 'w:' .. owner) == 1 then answer('later')
    else answer('lost', head(id)) end
  elseif status ~= 'queued' and status ~= 'deferred' and not (status == 'held' and v[4]) then
    answer('drop')
  elseif tonumber(v[3]) <= now then
    answer('expired', head(id))
  elseif resting then
    answer('paused')
  elseif v[4] and tonumber(v[4]) > now then
    answer('wait', v[4])
  else
    local row = head(id)
    call('HSET', m, 'status', 'sending', 'owner', me, 'op', op, 'rev', row[2] + 1)
    call('HDEL', m, 'next')
    call('ZREM', P .. 's:' .. status, id)
    call('ZADD', P .. 's:sending', v[2], id)
    call('ZREM', P .. 'adding', id)
    answer('go', head(id), call('HMGET', m, 'content', 'files'))
  end
end
return answers`

/**
 * Stores new states; each names the \`rev\` it was made from. ARGV: owner, now, settled messages kept at most, then 12
 * for each.
 */
const WRITE = `${COMMON}
local me, now, most = ARGV[1], ARGV[2], tonumber(ARGV[3])
local answers = {}
for i = 4, #ARGV, 12 do
  local id, rev, op, status, rest = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]
  local exp, next, settled, losses = ARGV[i + 6], ARGV[i + 7], ARGV[i + 8], ARGV[i + 10]
  local m = P .. 'm:' .. id
  local v = call('HMGET', m, 'status', 'seq', 'rev', 'op')
  if v[4] == op then
    answers[#answers + 1] = 'written'
  elseif v[3] ~= rev then
    answers[#answers + 1] = 'stale'
  else
    call('HSET', m, 'rev', rev + 1, 'op', op, 'status', status, 'rest', rest, 'due', ARGV[i + 5], 'exp', exp)
    if next == '' then call('HDEL', m, 'next') else call('HSET', m, 'next', next) end
    if losses == '0' then call('HDEL', m, 'losses') else call('HSET', m, 'losses', losses) end
    if ARGV[i + 9] == '1' then call('HDEL', m, 'content', 'files') end
    call('ZREM', P .. 's:' .. v[1], id)
    call('ZADD', P .. 's:' .. status, v[2], id)
    if settled == '' then
      call('HDEL', m, 'settled')
      call('ZREM', P .. 'settled', id)
      call('ZADD', P .. 'expires', exp, id)
    else
      trim(most)
      call('HSET', m, 'settled', settled)
      call('ZREM', P .. 'expires', id)
      call('ZADD', P .. 'settled', settled, id)
      call('PUBLISH', P .. 'done:' .. id, me)
    end
    if ARGV[i + 11] == '1' then call('ZADD', P .. 'adding', now, id) end
    answers[#answers + 1] = 'written'
  end
end
return answers`

/**
 * What a delivering process does all the time: shows that it is alive, forgets what is old, and looks for what has
 * expired and for messages that have no job. ARGV: owner, its ttl, now, settled messages kept, their age, oldest
 * time of \`adding\`.
 */
const SWEEP = `${COMMON}
call('SET', P .. 'w:' .. ARGV[1], 1, 'PX', ARGV[2])
local now = tonumber(ARGV[3])
local old = call('ZRANGEBYSCORE', P .. 'settled', '-inf', now - ARGV[5], 'LIMIT', 0, 100)
for _, id in ipairs(old) do forget(id) end
trim(tonumber(ARGV[4]) + 1)
local expired = {}
for _, id in ipairs(call('ZRANGEBYSCORE', P .. 'expires', '-inf', now, 'LIMIT', 0, 100)) do
  local row = head(id)
  if not row[4] then forget(id)
  elseif row[4] ~= 'sending' then expired[#expired + 1] = { id, row } end
end
local orphans = {}
for _, id in ipairs(call('ZRANGEBYSCORE', P .. 'adding', '-inf', ARGV[6], 'LIMIT', 0, 100)) do
  orphans[#orphans + 1] = { id, head(id) }
end
return { expired, orphans }`

/** Messages by id. ARGV: ids. */
const LOOK = `${COMMON}
local rows = {}
for i = 1, #ARGV do
  local row = head(ARGV[i])
  rows[i] = row[4] and row or false
end
return { paused(), rows }`

/** Newest first; what is in line counts as held while the queue is paused. ARGV: below which place, how many, status. */
const PAGE = `${COMMON}
local status, resting = ARGV[3], paused()
local sets = { status == '' and 'all' or 's:' .. status }
if resting == 1 and status == 'queued' then sets = {} end
if resting == 1 and status == 'held' then sets[2] = 's:queued' end
local rows = {}
for _, set in ipairs(sets) do
  for _, id in ipairs(call('ZREVRANGEBYSCORE', P .. set, ARGV[1], '-inf', 'LIMIT', 0, ARGV[2])) do
    rows[#rows + 1] = head(id)
  end
end
return { resting, rows }`

/** ARGV: now, then the statuses. The longest wait is that of the first among the hundred accepted first. */
const STATS = `${COMMON}
local now, since = tonumber(ARGV[1]), tonumber(ARGV[1])
for _, id in ipairs(call('ZRANGE', P .. 's:queued', 0, 99)) do
  local due = tonumber(call('HGET', P .. 'm:' .. id, 'due') or now)
  if due < since then since = due end
end
local counts = {}
for i = 2, #ARGV do counts[#counts + 1] = call('ZCARD', P .. 's:' .. ARGV[i]) end
return { paused(), tonumber(call('GET', P .. 'seq') or 0), now - since, counts }`

export const SCRIPTS = {
  accept: ACCEPT,
  revoke: REVOKE,
  begin: BEGIN,
  write: WRITE,
  sweep: SWEEP,
  look: LOOK,
  page: PAGE,
  stats: STATS,
} as const

export type ScriptName = keyof typeof SCRIPTS
