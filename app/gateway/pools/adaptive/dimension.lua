-- One limit that a provider may have: a shadow of its bucket, and what one call costs there.
local dimension = {}

local REQUESTS, TOKENS, RESERVED, INPUT, OUTPUT = 1, 2, 3, 4, 5
local NAMES = { "requests", "tokens", "tokens_reserved", "tokens_input", "tokens_output" }

-- `unit` is the mean cost of a call, a guess until calls were seen. No rate: never measured, so it paces nothing.
local function one(now, unit)
  return {
    level = 0, at = now, cum = 0, unit = unit, active = false, known = false, announced = 0, proven = 0,
    cut_at = -1e9, want = 0, pressed = false, from = -1e9,
  }
end

-- All limits at once: which of them binds is found out later.
function dimension.all(now)
  local all = { one(now, 1), one(now, 3000), one(now, 3000), one(now, 2000), one(now, 1000) }
  all[REQUESTS].rate, all[REQUESTS].level, all[REQUESTS].active = figures.first_rate, 1, true
  return all
end

-- What a call (or its mark) takes from limit `i` when it is sent.
function dimension.cost(i, call)
  if i == REQUESTS then return 1 end
  if i == INPUT then return call.input end
  if i == OUTPUT then return call.output end
  return call.input + call.output
end

-- What it took in the end, of the limits that give back what was not used; nil of the others.
function dimension.paid(i, mark, used)
  if i == TOKENS then return used end
  if i == OUTPUT then return math.max(0, used - mark.input) end
  return nil
end

-- Whether it paces calls now.
function dimension.paces(d)
  return d.rate and (d.active or d.known)
end

-- What was announced for a minute, where the provider counts it by the minute of the clock or over a sliding one; else nil.
local function counted(d)
  return d.window and (d.known and d.announced or d.bound and d.bound * 60) or nil
end

-- A measured limit keeps little in its bucket: bursts are where a guess goes wrong. An announced one keeps its minute.
function dimension.depth(d)
  local per_minute = counted(d)
  if per_minute then return math.max(d.unit + figures.late_s * per_minute / 60, d.want) end
  local depth = d.known and d.announced or math.max(2 * d.unit, 0.5 * (d.rate or 0))
  return math.max(depth, d.want)
end

-- The deepest that the bucket was in this minute and the one before: what it held then may have gone since.
local function deepest(d)
  return math.max(dimension.depth(d), d.deep or 0, d.deep_before or 0)
end

local function note_depth(d, now)
  if not d.deep or now - d.deep_at > 60 then
    d.deep_before, d.deep, d.deep_at = d.deep and now - d.deep_at <= 120 and d.deep or nil, 0, now
  end
  d.deep = math.max(d.deep, dimension.depth(d))
end

-- No 60 s may then hold more than was announced, whenever they begin: the bucket holds a call and what is late, the rate
-- fills what is left of the minute beside it, and a hundredth stays in hand. Of requests, which come whole, half of one
-- in hand is enough, and one more fits.
local function counted_rate(s, d, per_minute)
  local whole, fits = 0.99 * per_minute, deepest(d)
  if d == s.dims[REQUESTS] then whole, fits = math.max(whole, per_minute - 0.5), fits - 1 end
  return math.max(0.5 * per_minute, whole - fits) / 60
end

-- The rate in use: probes raise a measured one (not beyond what was configured), the breaker's ramp lowers all.
function dimension.pace(s, d)
  local rate = d.known and d.rate or d.rate * s.gain
  if d.bound then rate = math.min(rate, d.bound) end
  local per_minute = counted(d)
  if per_minute then rate = math.min(rate, counted_rate(s, d, per_minute)) end
  return rate * s.share
end

-- Brings the level to `now`, and returns it. Needed before anything that changes the rate in use.
function dimension.sync(s, d, now)
  if counted(d) then note_depth(d, now) end
  if d.rate then d.level = math.min(dimension.depth(d), d.level + math.max(0, now - d.at) * dimension.pace(s, d)) end
  d.at = now
  return d.level
end

function dimension.sync_all(s, now)
  for _, d in ipairs(s.dims) do dimension.sync(s, d, now) end
end

-- The accepted cost of each limit so far.
function dimension.cums(s)
  local cums = {}
  for i, d in ipairs(s.dims) do cums[i] = d.cum end
  return cums
end

-- The limit in charge, or nil when calls in flight bind.
function dimension.main(s)
  if s.by_calls then return nil end
  for _, d in ipairs(s.dims) do
    if d.active and d.rate then return d end
  end
  return nil
end
