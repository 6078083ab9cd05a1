--[[
  Reads a page of messages, newest first within each status.

  KEYS[1], ARGV[1..3]  see common.lua
  ARGV[4]   highest `seq` of the page: '(N' for below N, or '+inf'
  ARGV[5]   messages of each status at most
  ARGV[6]   statuses to read, separated by spaces
  ARGV[7]   statuses to read instead while the queue is paused

  Returns { paused (0 or 1), rows }.
]]
local is_paused = paused()
local rows = {}
for _, status in ipairs(words(is_paused == 1 and ARGV[7] or ARGV[6])) do
  for _, id in ipairs(call('ZREVRANGEBYSCORE', PREFIX .. 's:' .. status, ARGV[4], '-inf', 'LIMIT', 0, ARGV[5])) do
    rows[#rows + 1] = read(id)
  end
end
return { is_paused, rows }
