--[[
  Removes messages that an enqueue command accepted although its caller was told of a failure.

  KEYS[1], ARGV[1..3]  see common.lua
  ARGV[4]   name of the enqueue command: messages that another command has touched since stay
  ARGV[5..] ids

  Returns 0.
]]
for index = 5, #ARGV do
  local id = ARGV[index]
  local op, status, key = unpack(call('HMGET', PREFIX .. 'm:' .. id, 'op', 'status', 'key'))
  if op == ARGV[4] and status == QUEUED then
    if key ~= '' then call('DEL', PREFIX .. 'k:' .. key) end
    forget(id)
  end
end
apply_changes()
return 0
