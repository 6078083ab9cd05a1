--[[
  Removes messages that another queue has now.

  KEYS[1], ARGV[1..3]  see common.lua
  ARGV[4..] a record for each message: id, rev (the revision that the other queue has)

  Returns for each message the name of its wake-up if it was removed; '' if it has changed, is being sent, or doesn't exist.
]]
local replies = {}
for first = 4, #ARGV, #RECORD_FIELDS do
  local old = record(first)
  local status, rev, wake = unpack(call('HMGET', PREFIX .. 'm:' .. old.id, 'status', 'rev', 'wake'))
  if status and status ~= SENDING and rev == old.rev then
    forget(old.id)
    replies[#replies + 1] = wake_up_of(old.id, wake)
  else
    replies[#replies + 1] = ''
  end
end
apply_changes()
return replies
