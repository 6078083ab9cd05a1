--[[
  Takes back what an enqueue command accepted although its caller is told of a failure. Works in both orders: if the command
  comes later, because it waited in the buffer of another connection, it accepts nothing.

  KEYS[1], ARGV[1..3]  see common.lua
  ARGV[4]   name of the enqueue command; messages that another one has accepted, too, stay
  ARGV[5]   for how long its name is remembered, in ms
  ARGV[6..] ids

  Returns 'revoked', or 'begun' if the delivery of one of the messages has begun.
]]
local op = ARGV[4]
local reply = 'revoked'
call('SET', PREFIX .. 'revoked:' .. op, 1, 'PX', ARGV[5])
for index = 6, #ARGV do
  local id = ARGV[index]
  local by, status, rev, key = unpack(call('HMGET', PREFIX .. 'm:' .. id, 'by', 'status', 'rev', 'key'))
  local others, accepted = {}, false
  for _, name in ipairs(words(by or '')) do
    if name == op then accepted = true else others[#others + 1] = name end
  end
  if accepted and (status ~= QUEUED or rev ~= '0') then
    reply = 'begun'
  elseif accepted and #others > 0 then
    call('HSET', PREFIX .. 'm:' .. id, 'by', table.concat(others, ' '))
  elseif accepted then
    if key ~= '' then call('DEL', PREFIX .. 'k:' .. key) end
    forget(id)
  end
end
apply_changes()
return reply
