-- Finds a value of a memo's tier, or gives the right to load it.
--
-- KEYS  1 value, 2 lock
-- ARGV  1 token of a lock, 2 its length in ms, 3 generation, 4 not empty to pass over the value
--
-- A value begins with 16 digits, the microsecond until which it is fresh (0 for ever), and 20
-- digits, its generation. The rest is the program's.
--
-- Returns  0, time left in us or -1, value       a fresh value
--          1, 0, value                           an expired value, which another process refreshes
--          2                                     the lock is taken: load
--          3, rest of the lock in ms             wait: another process loads
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local value = ARGV[4] == '' and redis.pcall('GET', KEYS[1])
local fresh
if value then
  -- A key of another type, or a value without its head: the program cannot read it either.
  if type(value) == 'table' then return { 0, -1, '' } end
  local generation = tonumber(string.sub(value, 17, 36))
  fresh = tonumber(string.sub(value, 1, 16))
  if not fresh or not generation then return { 0, -1, value } end
  if generation < tonumber(ARGV[3]) then value = false end
end
if value then
  if fresh == 0 then return { 0, -1, value } end
  if fresh > now then return { 0, fresh - now, value } end
end
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return { 2 } end
if value then return { 1, 0, value } end
return { 3, redis.call('PTTL', KEYS[2]) }
