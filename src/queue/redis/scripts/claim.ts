import { COMMON } from './common.js'

/**
 * Begins deliveries. Says for each what is to be done with its job: deliver it (\`go\`), wake up later (\`wait\`,
 * \`later\`), or let it go (\`drop\`, \`paused\`); or that its message is \`expired\` or \`lost\` with a process.
 * ARGV: owner, now, then id and op for each.
 */
export const BEGIN = `${COMMON}
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
    later('ZREM', 'due', id)
    later('ZADD', 's:sending', row[1], id)
    answer = { 'go', row }
  end
  answers[#answers + 1] = answer
end
now_all()
return answers`

/**
 * Stores new states; each names the \`rev\` it was made from. ARGV: owner, now, settled messages kept at most, then 13
 * for each; the last one is \`PRIORITY:TRANSPORT\` for what is held for that transport's budget.
 */
export const WRITE = `${COMMON}
local me, now = ARGV[1], ARGV[2]
local answers, done, forgetting = {}, { me }, {}
trim(tonumber(ARGV[3]))
for i = 4, #ARGV, 13 do
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
    if status == 'queued' or ARGV[i + 7] ~= '' then
      later('ZADD', 'due', ARGV[i + 5], id)
    elseif v[1] ~= 'sending' then
      later('ZREM', 'due', id)
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
    if ARGV[i + 12] ~= '' then
      local held = 'held:' .. ARGV[i + 12]
      later('ZADD', held, ARGV[i + 5], id)
      forgetting[held] = true
    end
    answers[#answers + 1] = 'written'
  end
end
now_all()
for held in pairs(forgetting) do call('ZREMRANGEBYSCORE', P .. held, '-inf', now) end
if #done > 1 then call('PUBLISH', P .. 'done', table.concat(done, ' ')) end
return answers`

/**
 * Makes messages due that are held for a budget: of higher priority first, then those that are due first. What has been due,
 * or is held no longer, only leaves the index. Says of each what is needed for its new job. ARGV: now, how many at most, then
 * the indexes in the order in which they are looked at.
 */
export const WAKE = `${COMMON}
local now, left = ARGV[1], tonumber(ARGV[2])
local woken = {}
for i = 3, #ARGV do
  local held = 'held:' .. ARGV[i]
  while left > 0 do
    local ids = call('ZRANGE', P .. held, 0, left - 1)
    if #ids == 0 then break end
    call('ZREM', P .. held, unpack(ids))
    for _, id in ipairs(ids) do
      local row = read(id)
      if row[4] == 'held' and row[7] ~= '' and tonumber(row[7]) > tonumber(now) then
        call('HSET', P .. 'm:' .. id, 'rev', row[2] + 1, 'due', now, 'next', now)
        later('ZADD', 'due', now, id)
        later('ZADD', 'adding', now, id)
        woken[#woken + 1] = { id, row }
        left = left - 1
      end
    end
  end
end
now_all()
return woken`
