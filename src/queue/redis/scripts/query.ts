import { COMMON } from './common.js'

/** Messages by id. ARGV: ids. */
export const LOOK = `${COMMON}
local rows = {}
for i = 1, #ARGV do
  local row = read(ARGV[i])
  rows[i] = row[4] and row or false
end
return { paused(), rows }`

/** Newest first; what is in line counts as held while the queue is paused. ARGV: below which place, how many, status. */
export const PAGE = `${COMMON}
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

/** ARGV: now, then the statuses. */
export const STATS = `${COMMON}
local now = tonumber(ARGV[1])
local since = tonumber(call('ZRANGE', P .. 'due', 0, 0, 'WITHSCORES')[2] or now)
local counts = {}
for i = 2, #ARGV do counts[#counts + 1] = call('ZCARD', P .. 's:' .. ARGV[i]) end
return { paused(), tonumber(call('GET', P .. 'seq') or 0), math.max(0, now - since), counts }`
