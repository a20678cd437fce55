-- Tells all processes of a change. The number of the change shows a process that it missed one.
--
-- KEYS  1 hash: seq, the number of the last change; gen, the generation of values
-- ARGV  1 channel, 2 process that has made the change, 3 key, or empty for a clear of all
--
-- Returns the number and the generation.
local seq = redis.call('HINCRBY', KEYS[1], 'seq', 1)
local gen = tonumber(redis.call('HGET', KEYS[1], 'gen') or 0)
if ARGV[3] == '' then gen = redis.call('HINCRBY', KEYS[1], 'gen', 1) end
local numbers = string.format('%.0f %.0f', seq, gen)
redis.call('PUBLISH', ARGV[1], 'changed ' .. numbers .. ' ' .. ARGV[2] .. ' ' .. ARGV[3])
return { seq, gen }
