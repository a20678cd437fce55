-- Stores a value, and lets those know that wait for it.
--
-- KEYS  1 value, 2 lock
-- ARGV  1 token that has to be in the lock, or empty to store in any case
--       2 time for which the value is fresh in us, or empty for ever
--       3 time for which the key lives in ms, or empty for ever
--       4 generation, 5 value, 6 channel, 7 message
--
-- Returns 1, or 0 if the lock is another's: an invalidation removed it, or it has expired.
if ARGV[1] ~= '' and redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
local fresh = 0
if ARGV[2] ~= '' then
  local clock = redis.call('TIME')
  fresh = tonumber(clock[1]) * 1000000 + tonumber(clock[2]) + tonumber(ARGV[2])
end
local value = string.format('%016.0f%020.0f', fresh, tonumber(ARGV[4])) .. ARGV[5]
if ARGV[3] == '' then
  redis.call('SET', KEYS[1], value)
else
  redis.call('SET', KEYS[1], value, 'PX', ARGV[3])
end
redis.call('UNLINK', KEYS[2])
redis.call('PUBLISH', ARGV[6], ARGV[7])
return 1
