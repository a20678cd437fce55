-- An exact limiter: at most `limit` permits in any stretch of `period`, for each window.
--
-- Quota     limit and period of each window
-- Charges   moment relative to now, permits per window
-- Refund    permits per window
-- Runs      calls, longest wait or -1, permits per window
--
-- A window is a sorted set. The member is a stamp: the last moment at which a permit may be used.
-- The score is the number of permits ever taken, those of the stamp included. Stamps and scores
-- rise together, so that one look for a score says when permits are free: the permits up to the
-- score `total + wanted - limit` have to be a period old.
--
-- The hash has per window: t total ever taken, g total that has left the window, l last stamp.
local windows = #KEYS - 1
local limit, period, grain = {}, {}, {}
local fields = {}
for n = 1, windows do
  limit[n], period[n] = argument(), argument()
  -- Stamps are rounded up, so that a set has about a thousand members, whatever the limit.
  grain[n] = math.ceil(period[n] / 1000)
  for _, field in ipairs({ 't', 'g', 'l' }) do
    fields[#fields + 1] = field .. (n - 1) .. ':' .. digits(period[n])
  end
end

local values = enter(fields)
local total, gone, last, fresh = {}, {}, {}, {}

local function put(n, stamp)
  redis.call('ZADD', KEYS[n + 1], digits(total[n]), digits(stamp))
  last[n] = stamp
end

-- Removes stamps beyond what any process reserves: the clock of the store went back. They count as
-- now, at once and for good. Counted as the now of each request, they would never leave.
local function pull_back(n)
  local most = now + reach + longest_hold + grain[n]
  if last[n] <= most then return end
  local stamp = now
  while true do
    local top = redis.call('ZREVRANGE', KEYS[n + 1], 0, 15)
    local beyond = 0
    for _, member in ipairs(top) do
      if tonumber(member) <= most then
        stamp = math.max(stamp, tonumber(member))
        break
      end
      beyond = beyond + 1
    end
    if beyond > 0 then redis.call('ZREMRANGEBYRANK', KEYS[n + 1], -beyond, -1) end
    if beyond < 16 then break end
  end
  put(n, stamp)
  fresh[#fresh + 1] = KEYS[n + 1]
end

-- Removes stamps that have left the window.
local function expire(n)
  local key = KEYS[n + 1]
  if last[n] + period[n] <= now then
    gone[n] = total[n]
    redis.call('UNLINK', key)
    return
  end
  while true do
    local oldest = redis.call('ZRANGE', key, 0, 15, 'WITHSCORES')
    if #oldest == 0 then
      -- The set is gone, and the hash is not: an eviction, or a DEL. All counts from the last stamp.
      put(n, math.max(last[n], now))
      fresh[#fresh + 1] = key
      return
    end
    local old = 0
    while oldest[2 * old + 1] and tonumber(oldest[2 * old + 1]) + period[n] <= now do
      old = old + 1
    end
    if old == 0 then return end
    gone[n] = math.max(gone[n], tonumber(oldest[2 * old]))
    redis.call('ZREMRANGEBYRANK', key, 0, old - 1)
    if old < 16 then return end
  end
end

for n = 1, windows do
  total[n], gone[n], last[n] = values[3 * n - 2] or 0, values[3 * n - 1] or 0, values[3 * n] or 0
  if gone[n] < total[n] then
    pull_back(n)
    expire(n)
  end
  if gone[n] == total[n] then fresh[#fresh + 1] = KEYS[n + 1] end
end

local function take_at(n, stamp, permits)
  total[n] = total[n] + permits
  -- No stamp is before an earlier one, because scores would not rise with stamps. A permit that
  -- counts for longer than it has to is safe.
  put(n, math.max(last[n], math.ceil(stamp / grain[n]) * grain[n]))
end

local function charge_and_refund()
  for _ = 1, charges do
    local moment = now + argument()
    for n = 1, windows do
      local permits = argument()
      if permits > 0 and moment + period[n] > now then take_at(n, moment, permits) end
    end
  end
  -- The oldest permits leave. No stretch of time is emptier than if others had left.
  for n = 1, windows do
    gone[n] = math.min(total[n], gone[n] + argument())
  end
end

-- A moment that never comes, because a call wants more than the limit.
local NEVER = now + 1e15

local function due_of(counts)
  local due, free = now, math.huge
  for n = 1, windows do
    local wanted = counts[n]
    if wanted > 0 then
      local needed, by_then = total[n] + wanted - limit[n], gone[n]
      if needed > gone[n] then
        local found = redis.call('ZRANGEBYSCORE', KEYS[n + 1], digits(needed), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
        if #found == 0 then return NEVER, 1 end
        due = math.max(due, tonumber(found[1]) + period[n])
        by_then = tonumber(found[2])
      end
      -- The windows that free earlier may free more until then: a further look finds it.
      free = math.min(free, math.max(math.floor((limit[n] - total[n] + by_then) / wanted), 1))
    end
  end
  return due, free
end

local function take(due, counts, calls)
  for n = 1, windows do
    if counts[n] > 0 then take_at(n, due + hold, counts[n] * calls) end
  end
end

local pieces = {}
if not is_lost then
  charge_and_refund()
  answer_runs(pieces, windows, due_of, take)
end

-- Processes that have used permits send their epoch for the longest period after the last stamp.
local until_moment = math.max(unpack(last)) + math.max(unpack(period))
for n = 1, windows do
  local field = 3 * n - 2
  if total[n] ~= values[field] then set(fields[field], digits(total[n])) end
  if gone[n] ~= values[field + 1] then set(fields[field + 1], digits(gone[n])) end
  if last[n] ~= values[field + 2] then set(fields[field + 2], digits(last[n])) end
end
local answer = leave(until_moment, fresh)
for n = 1, windows do
  answer[#answer + 1] = math.max(limit[n] - total[n] + gone[n], 0)
end
for _, number in ipairs(pieces) do answer[#answer + 1] = number end
return answer
