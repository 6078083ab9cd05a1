/**
 * What the scripts share. A call out of Lua is what costs, so that each reads a message in one, writes it in one, and
 * changes each index once for all its messages: `later` notes a change, and `now_all` makes them.
 */
export const COMMON = `
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
  later('ZREM', 'due', id)
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
