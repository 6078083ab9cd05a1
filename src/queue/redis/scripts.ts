/**
 * What happens in Redis at once, as Lua. A call out of Lua is what costs, so that each script reads a message in one,
 * writes it in one, and changes each index once for all its messages. All keys begin with one prefix:
 *
 * - `m:ID`, a hash: one message; `rev` grows with each change, `op` names the last one, so that a command that was
 *   sent twice is known again
 * - `s:STATUS`: ids by place in the order of acceptance, which `seq` counts
 * - `settled`, `expires`: ids by time of settlement, and by expiry of what waits
 * - `adding`: ids of messages that may have no job in BullMQ yet, by the time of that
 * - `k:KEY`: whose idempotency key it is, for as long as it is remembered
 * - `rate:TRANSPORT`: when the next message of a transport with a rate may go
 * - `w:OWNER`: there while the delivering process is alive
 *
 * `done` is the channel on which settlements are told. BullMQ's own keys are `mail:…`; of them only `mail:meta` is read
 * here, whether the queue is paused.
 */
const COMMON = `
local P = KEYS[1]
local call = redis.call
local changes = {}
local function later(command, key, a, b)
  local name = command .. key
  local list = changes[name]
  if not list then
    list = { command, P .. key }
    changes[name] = list
  end
  list[#list + 1] = a
  if b then list[#list + 1] = b end
end
local function now_all()
  for _, list in pairs(changes) do call(unpack(list)) end
  changes = {}
end
local function paused() return call('HEXISTS', P .. 'mail:meta', 'paused') end
local function forget(id)
  local status = call('HGET', P .. 'm:' .. id, 'status')
  if status then later('ZREM', 's:' .. status, id) end
  later('ZREM', 'settled', id)
  later('ZREM', 'expires', id)
  later('ZREM', 'adding', id)
  later('DEL', 'm:' .. id)
end
local function trim(most)
  local over = call('ZCARD', P .. 'settled') - most
  if over <= 0 then return end
  for _, id in ipairs(call('ZRANGE', P .. 'settled', 0, math.min(over, 100) - 1)) do forget(id) end
  now_all()
end
local function read(id, ...)
  return call('HMGET', P .. 'm:' .. id, 'seq', 'rev', 'losses', 'status', 'due', 'exp', 'next', 'settled', 'rest', 'head', ...)
end
`

/** Takes messages in. ARGV: limit, op, now, then 11 for each. */
const ACCEPT = `${COMMON}
local limit, op, now = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local open = 0
for _, status in ipairs({'queued', 'sending', 'deferred', 'held'}) do
  open = open + call('ZCARD', P .. 's:' .. status)
end
local seq = tonumber(call('GET', P .. 'seq') or 0)
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
    later('ZADD', 'expires', ARGV[i + 9], id)
    later('ZADD', 'adding', now, id)
    open = open + 1
    answers[#answers + 1] = { 'queued' }
  end
end
call('SET', P .. 'seq', seq)
now_all()
return answers`

/** Takes back what was accepted while nobody could be told. ARGV: op, then ids. */
const REVOKE = `${COMMON}
for i = 2, #ARGV do
  local known = call('HMGET', P .. 'm:' .. ARGV[i], 'op', 'status', 'key')
  if known[1] == ARGV[1] and known[2] == 'queued' then
    if known[3] ~= '' then call('DEL', P .. 'k:' .. known[3]) end
    forget(ARGV[i])
  end
end
now_all()
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
for i = 3, #ARGV, 2 do
  local id, op = ARGV[i], ARGV[i + 1]
  local row = read(id, 'content', 'files', 'owner', 'op')
  local status, next, owner = row[4], row[7], row[13]
  local answer
  if status == 'sending' and row[14] == op then
    answer = { 'go', row }
  elseif status == 'sending' then
    if owner == me or call('EXISTS', P .. 'w:' .. owner) == 1 then answer = { 'later' } else answer = { 'lost', row } end
  elseif status ~= 'queued' and status ~= 'deferred' and not (status == 'held' and next ~= '') then
    answer = { 'drop' }
  elseif tonumber(row[6]) <= now then
    answer = { 'expired', row }
  elseif resting then
    answer = { 'paused' }
  elseif next ~= '' and tonumber(next) > now then
    answer = { 'wait', next }
  else
    row[2] = row[2] + 1
    row[4] = 'sending'
    row[7] = ''
    call('HSET', P .. 'm:' .. id, 'status', 'sending', 'owner', me, 'op', op, 'rev', row[2], 'next', '')
    later('ZREM', 's:' .. status, id)
    later('ZADD', 's:sending', row[1], id)
    answer = { 'go', row }
  end
  answers[#answers + 1] = answer
end
now_all()
return answers`

/**
 * Stores new states; each names the \`rev\` it was made from. ARGV: owner, now, settled messages kept at most, then 12
 * for each.
 */
const WRITE = `${COMMON}
local me, now = ARGV[1], ARGV[2]
local answers, done = {}, { me }
trim(tonumber(ARGV[3]))
for i = 4, #ARGV, 12 do
  local id, rev, op, status, exp, settled = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 6], ARGV[i + 8]
  local m = P .. 'm:' .. id
  local v = call('HMGET', m, 'status', 'seq', 'rev', 'op')
  if v[4] == op then
    answers[#answers + 1] = 'written'
  elseif v[3] ~= rev then
    answers[#answers + 1] = 'stale'
  else
    local fields = { 'rev', rev + 1, 'op', op, 'status', status, 'rest', ARGV[i + 4], 'due', ARGV[i + 5], 'exp', exp,
      'next', ARGV[i + 7], 'settled', settled, 'losses', ARGV[i + 10] }
    if ARGV[i + 9] == '1' then
      for _, field in ipairs({ 'content', '', 'files', '' }) do fields[#fields + 1] = field end
    end
    call('HSET', m, unpack(fields))
    if v[1] ~= status then
      later('ZREM', 's:' .. v[1], id)
      later('ZADD', 's:' .. status, v[2], id)
    end
    if settled == '' then
      later('ZREM', 'settled', id)
      later('ZADD', 'expires', exp, id)
    else
      later('ZREM', 'expires', id)
      later('ZADD', 'settled', settled, id)
      done[#done + 1] = id
    end
    if ARGV[i + 11] == '1' then later('ZADD', 'adding', now, id) end
    answers[#answers + 1] = 'written'
  end
end
now_all()
if #done > 1 then call('PUBLISH', P .. 'done', table.concat(done, ' ')) end
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
now_all()
trim(tonumber(ARGV[4]) + 1)
local expired = {}
for _, id in ipairs(call('ZRANGEBYSCORE', P .. 'expires', '-inf', now, 'LIMIT', 0, 100)) do
  local row = read(id)
  if not row[4] then forget(id)
  elseif row[4] ~= 'sending' then expired[#expired + 1] = { id, row } end
end
local orphans = {}
for _, id in ipairs(call('ZRANGEBYSCORE', P .. 'adding', '-inf', ARGV[6], 'LIMIT', 0, 100)) do
  local row = read(id)
  if row[4] then orphans[#orphans + 1] = { id, row } else forget(id) end
end
now_all()
return { expired, orphans }`

/** Messages by id. ARGV: ids. */
const LOOK = `${COMMON}
local rows = {}
for i = 1, #ARGV do
  local row = read(ARGV[i])
  rows[i] = row[4] and row or false
end
return { paused(), rows }`

/** Newest first; what is in line counts as held while the queue is paused. ARGV: below which place, how many, status. */
const PAGE = `${COMMON}
local status, resting = ARGV[3], paused()
local sets = { status }
if status == '' then sets = { 'queued', 'sending', 'deferred', 'held', 'sent', 'partial', 'failed', 'expired', 'cancelled' } end
if resting == 1 and status == 'queued' then sets = {} end
if resting == 1 and status == 'held' then sets[2] = 'queued' end
local rows = {}
for _, set in ipairs(sets) do
  for _, id in ipairs(call('ZREVRANGEBYSCORE', P .. 's:' .. set, ARGV[1], '-inf', 'LIMIT', 0, ARGV[2])) do
    rows[#rows + 1] = read(id)
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

/**
 * The times of the next messages of a transport, an interval apart, unless they are more than a second ahead.
 * ARGV: transport, interval in ms, count. Says whether they are taken, and in how many ms the first is, or may be asked for.
 */
const RESERVE = `${COMMON}
local key, time = P .. 'rate:' .. ARGV[1], call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local first = math.max(tonumber(call('GET', key) or 0), now)
if first - now > 1000 then return { 0, string.format('%.3f', first - now - 900) } end
local last = first + ARGV[2] * ARGV[3]
call('SET', key, string.format('%.3f', last), 'PX', math.ceil(last - now) + 1000)
return { 1, string.format('%.3f', first - now) }`

export const SCRIPTS = {
  accept: ACCEPT,
  revoke: REVOKE,
  begin: BEGIN,
  write: WRITE,
  sweep: SWEEP,
  look: LOOK,
  page: PAGE,
  stats: STATS,
  reserve: RESERVE,
} as const

export type ScriptName = keyof typeof SCRIPTS
