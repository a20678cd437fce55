-- The ground of both scripts: the store's time, the epoch, the grace, the pause, the expiry.
--
-- KEYS[1]   hash: epoch, pause, grace, expiry, hold, and the fields of the quota
-- KEYS[2..] one sorted set per window; none if paced. All keys have one hash tag, so one slot.
--
-- ARGV      1 epoch that the process knows; empty if it knows none
--           2 epoch of a new state, drawn by the process
--           3 hold: how long after its due moment a permit may be used
--           4 reach: how far ahead permits are reserved
--           5 span: how far the permits of one request lie apart
--           6 grace: how long nothing is granted after a loss
--           7 pause: empty for none, 0 ends all pauses, otherwise its length
--           8 number of charges, 9 number of runs
--           then the quota, the charges, the refund and the runs: see the scripts
--
-- Returns   epoch, rest of the pause, rest of the grace, free permits per window,
--           then per piece of a run: calls, due, outcome
--
-- All times are whole microseconds. Moments are the store's, and lengths are relative to now.
-- `..` prints a number of 16 digits as 1.79e+15, therefore `digits`.
local function digits(number)
  return string.format('%.0f', number)
end

local GRANTED, REFUSED, LATER = 0, 1, 2
-- How long the keys outlive what they say, so that no process finds them gone that counts on them.
local MARGIN = 1000000
-- How much further the expiry is set when it is set, so that few requests have to set it.
local STRIDE = 5000000
-- Maximum number of pieces in an answer, so that one request keeps the store for a short time.
local MOST_PIECES = 128

local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local hold, reach, span = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local charges, runs = tonumber(ARGV[8]), tonumber(ARGV[9])
local cursor = 9

local function argument()
  cursor = cursor + 1
  return tonumber(ARGV[cursor])
end

-- Fields of the hash to write at the end, as HSET takes them.
local changes = {}

local function set(field, value)
  changes[#changes + 1] = field
  changes[#changes + 1] = value
end

local epoch, pause, grace, expiry, longest_hold
local is_lost = false

-- Reads the hash, with further fields. A hash that is gone takes the sets with it: they would be
-- counted without their totals.
local function enter(fields)
  local state = redis.call('HMGET', KEYS[1], 'epoch', 'pause', 'grace', 'expiry', 'hold', unpack(fields))
  epoch = state[1]
  pause, grace = tonumber(state[2]) or 0, tonumber(state[3]) or 0
  expiry, longest_hold = tonumber(state[4]) or 0, tonumber(state[5]) or 0
  if not epoch then
    if #KEYS > 1 then redis.call('UNLINK', unpack(KEYS, 2)) end
    epoch = ARGV[2]
    set('epoch', epoch)
  end
  if hold > longest_hold then
    longest_hold = hold
    set('hold', digits(hold))
  end
  -- A process that knows another epoch has permits that this state does not count. It reports them
  -- with its next request, and so do others: nothing is granted until all had the time for it. A
  -- state has one grace, because the processes that report later have used little.
  if ARGV[1] ~= '' and ARGV[1] ~= epoch then
    is_lost = true
    if grace == 0 then
      grace = now + tonumber(ARGV[6])
      set('grace', digits(grace))
    end
  end
  if ARGV[7] ~= '' then
    local length = tonumber(ARGV[7])
    local until_moment = now + length
    if length == 0 then until_moment = 0 end
    if length == 0 or until_moment > pause then
      pause = until_moment
      set('pause', digits(pause))
    end
  end
  local values = {}
  for n = 1, #fields do values[n] = tonumber(state[n + 5]) end
  return values
end

-- Writes the hash, and sets the expiry of all keys once what they say reaches beyond it.
-- `fresh` are keys that may have no expiry yet. Returns the head of the answer.
local function leave(until_moment, fresh)
  until_moment = math.max(until_moment, pause, grace, now)
  if until_moment + MARGIN > expiry then
    expiry = until_moment + MARGIN + STRIDE
    set('expiry', digits(expiry))
    fresh = KEYS
  end
  if #changes > 0 then redis.call('HSET', KEYS[1], unpack(changes)) end
  local moment = digits(math.ceil(expiry / 1000))
  for _, key in ipairs(fresh) do redis.call('PEXPIREAT', key, moment) end
  return { epoch, math.max(pause - now, 0), math.max(grace - now, 0) }
end

-- Answers the runs. `due_of(counts)` is the moment from which one call is free and the number of
-- calls that are free from then on, at least 1; `take(due, counts, calls)` takes them.
--
-- A run is: calls, longest wait or -1, permits per window. Calls are answered in order. What is
-- due within the span of the first granted call is granted. What is due after the longest wait is
-- refused, and nothing of it is taken. The rest is for a later request, so that other processes
-- have their turn.
local function answer_runs(answer, windows, due_of, take)
  -- No call is due before this moment: the end of a pause, then that of the call before.
  local from = math.max(now, pause, grace)
  local first, pieces = nil, 0
  -- Moment before which no further call is granted, once one had to be left for later.
  local blocked = nil
  if grace > now then blocked = grace end
  local function say(calls, due, outcome)
    pieces = pieces + 1
    local at = #answer
    answer[at + 1], answer[at + 2], answer[at + 3] = calls, due - now, outcome
  end
  for _ = 1, runs do
    local calls, within = argument(), argument()
    local counts = {}
    for window = 1, windows do counts[window] = argument() end
    while calls > 0 do
      local due, free = blocked, nil
      if not due then
        due, free = due_of(counts)
        due = math.max(due, from)
      end
      if within >= 0 and due - now > within then
        say(calls, due, REFUSED)
        calls = 0
      else
        if not blocked and (due > now + reach or pieces >= MOST_PIECES or (first and due > first + span)) then
          blocked = due
        end
        if blocked then
          say(calls, due, LATER)
          calls = 0
        else
          first, from = first or due, due
          local granted = math.min(calls, free)
          take(due, counts, granted)
          say(granted, due, GRANTED)
          calls = calls - granted
        end
      end
    end
  end
  return answer
end
