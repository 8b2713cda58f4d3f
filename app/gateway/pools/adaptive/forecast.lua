-- How fast a line of calls will go, for who decides whether to stand in it.
local forecast = {}

-- By the limits that pace.
local function by_limits(s)
  local per_s = math.huge
  for _, d in ipairs(s.dims) do
    if dimension.paces(d) then per_s = math.min(per_s, dimension.pace(s, d) / d.unit) end
  end
  return per_s
end

local function starting(s)
  local first = s.dims[REQUESTS]
  return s.start and not first.known and not first.bound
end

-- What was let through within the last seconds.
local function lately(s, now)
  local before = s.trail[#s.trail - 1] or s.trail[1]
  if not before then return 0 end
  return (s.dims[REQUESTS].cum - before.cums[REQUESTS]) / math.max(1, now - before.at)
end

-- By calls in flight at once (Little's law).
local function by_cap(s, now, cap)
  return math.max(cap / latency.expected_s(s), lately(s, now))
end

-- Calls a second that the pool will let through: what has not met resistance will be faster soon, and how long calls
-- take says something once some have ended.
function forecast.per_s(s, now)
  local per_s = starting(s) and figures.growing * by_limits(s) or by_limits(s)
  if s.ended < figures.known_calls then return per_s end
  local cap = admission.cap(s)
  return math.min(per_s, by_cap(s, now, s.cap_start and math.min(s.ceiling, figures.growing * cap) or cap))
end

local function mean(s)
  return { lane = 0, input = s.dims[INPUT].unit, output = s.dims[OUTPUT].unit }
end

-- Seconds for which the next call is held back, and by what; nil where that is less than a second, and no seconds where
-- nobody knows. The state is of no further use: it was asked for a permit.
function forecast.held(s, now, in_flight)
  if s.stopped and not s.stopped_until then return nil, s.stopped end
  local by = s.stopped
  local wait_s, reason = admission.ask(s, now, mean(s), in_flight)
  if wait_s < 1 then return nil end
  return wait_s, by or reason
end

-- How many calls go within `within_s` from now, as things are: it is asked again soon; and how many of them are bulk calls
-- in any case. None where the next one has to wait for longer. The state is of no further use: it was asked for a permit.
function forecast.room(s, now, in_flight, within_s)
  local stop_s = admission.stopped(s, now) or 0
  local look_in = breaker.probe_in(s.breaker, now) or s.shut and s.shut.next - now
  if look_in then return math.max(look_in, stop_s) <= figures.probe_near_s and 1 or 0 end -- somebody has to
  if breaker.state(s.breaker, now) == "open" then return 0 end
  local per_s = math.min(by_limits(s), by_cap(s, now, admission.cap(s)))
  local wait_s = admission.ask(s, now, mean(s), in_flight)
  if wait_s > within_s then return 0 end
  local goes = math.ceil(per_s * (within_s - math.max(0, wait_s)) + 1e-9)
  return goes, lanes.owed(s, now, goes)
end
