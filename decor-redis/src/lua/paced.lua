-- Even spacing: one permit every `period / limit`, and up to `burst` at once after an idle time.
--
-- Quota     limit, period, burst
-- Charges   moment relative to now, permits
-- Refund    permits
-- Runs      calls, longest wait or -1, permits
--
-- The generic cell rate algorithm. The hash has the schedule: the moment at which the next permit
-- would be due at an even pace, in whole microseconds (tat) and a rest in `limit`-ths of one
-- (rest), so that rounding does not add up. It has the last time of the store as well (seen): the
-- schedule goes back with a clock that goes back.
local limit, period, burst = argument(), argument(), argument()
local fields = { 'tat', 'rest', 'of', 'seen' }
local values = enter(fields)
local tat, rest = values[1] or 0, values[2] or 0
-- The rest is in parts of another limit, if the limit was changed.
if values[3] and values[3] ~= limit then rest = math.ceil(rest * limit / values[3]) end
if rest >= limit then tat, rest = tat + 1, 0 end
if values[4] and values[4] > now then tat = math.max(tat - (values[4] - now), 0) end

local whole, fraction = math.floor(period / limit), period % limit
-- Largest number of permits by which a rest is multiplied exactly: a double has 53 bits.
local EXACT = math.floor(2 ^ 52 / math.max(fraction, 1))

-- Moves a schedule by permits, forth or back.
local function moved(moment, part, permits)
  local sign = permits < 0 and -1 or 1
  permits = math.abs(permits)
  while permits > 0 do
    local some = math.min(permits, EXACT)
    part = part + sign * some * fraction
    local carry = math.floor(part / limit)
    moment, part = moment + sign * some * whole + carry, part - carry * limit
    permits = permits - some
  end
  return moment, part
end

local function charge_and_refund()
  for _ = 1, charges do
    local moment, permits = now + argument(), argument()
    if permits > 0 then
      if tat < moment then tat, rest = moment, 0 end
      tat, rest = moved(tat, rest, permits)
    end
  end
  local refund = argument()
  if refund > 0 and tat > now then
    tat, rest = moved(tat, rest, -refund)
    if tat < now then tat, rest = now, 0 end
  end
end

-- A call of more than the burst waits for a full burst. Its rest delays the calls behind it.
local function due_of(counts)
  local permits = counts[1]
  local from, part = tat, rest
  if from < now then from, part = now, 0 end
  local due, over = moved(from, part, math.min(permits, burst) - burst)
  if over > 0 then due = due + 1 end
  -- Calls that are due at the same microsecond are answered one by one, up to the burst.
  local free = 1
  if due <= now then
    local ahead = (from - now + part / limit) * limit / period
    free = math.max(math.floor((burst - math.ceil(ahead)) / permits), 1)
  end
  return due, free
end

local function take(due, counts, calls)
  if tat < due then tat, rest = due, 0 end
  tat, rest = moved(tat, rest, counts[1] * calls)
end

local pieces = {}
if not is_lost then
  charge_and_refund()
  answer_runs(pieces, 1, due_of, take)
end

if tat ~= values[1] then set('tat', digits(tat)) end
if rest ~= values[2] then set('rest', digits(rest)) end
if limit ~= values[3] then set('of', digits(limit)) end
if tat > now or (values[4] and values[4] > now) then set('seen', digits(now)) end
-- Processes that have used permits send their epoch for a period after the last use.
local answer = leave(tat + hold + period, {})
local ahead = 0
if tat >= now then ahead = math.ceil((tat - now + rest / limit) * limit / period) end
answer[#answer + 1] = math.max(burst - ahead, 0)
for _, number in ipairs(pieces) do answer[#answer + 1] = number end
return answer
