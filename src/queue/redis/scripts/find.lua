--[[
  Reads messages by id.

  KEYS[1], ARGV[1..3]  see common.lua
  ARGV[4..] ids

  Returns { paused (0 or 1), rows }: a row for each id, or nil if there is no such message.
]]
local rows = {}
for index = 4, #ARGV do
  local row = read(ARGV[index])
  rows[#rows + 1] = row[F.status] and row or false
end
return { paused(), rows }
