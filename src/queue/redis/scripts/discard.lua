--[[
  Removes messages that another queue has now.

  KEYS[1], ARGV[1..3]  see common.lua
  ARGV[4..] a record for each message: id, rev (the revision that the other queue has)

  Returns for each message 1 if it was removed; 0 if it has changed, is being sent, or doesn't exist.
]]
local replies = {}
for first = 4, #ARGV, #RECORD_FIELDS do
  local old = record(first)
  local status, rev = unpack(call('HMGET', PREFIX .. 'm:' .. old.id, 'status', 'rev'))
  if status and status ~= SENDING and rev == old.rev then
    forget(old.id)
    replies[#replies + 1] = 1
  else
    replies[#replies + 1] = 0
  end
end
apply_changes()
return replies
