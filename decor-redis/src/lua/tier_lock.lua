-- Renews a lock, or gives it up.
--
-- KEYS  1 lock
-- ARGV  1 token, 2 length in ms, or empty to give the lock up, 3 channel, 4 message
--
-- Returns 1, or 0 if the lock is another's.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] ~= '' then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
redis.call('UNLINK', KEYS[1])
redis.call('PUBLISH', ARGV[3], ARGV[4])
return 1
