-- How fast a line of calls will go, for who decides whether to stand in it.
local forecast = {}

-- By the limits that pace; a slow start will be faster soon.
local function by_limits(s)
  local per_s = math.huge
  for _, d in ipairs(s.dims) do
    if dimension.paces(d) then per_s = math.min(per_s, dimension.pace(s, d) / d.unit) end
  end
  local first = s.dims[REQUESTS]
  return s.start and not first.known and not first.bound and figures.growing * per_s or per_s
end

-- What was let through within the last seconds.
local function lately(s, now)
  local before = s.trail[#s.trail - 1] or s.trail[1]
  if not before then return 0 end
  return (s.dims[REQUESTS].cum - before.cums[REQUESTS]) / math.max(1, now - before.at)
end

-- By calls in flight at once (Little's law); a cap that has not met resistance will grow.
local function by_cap(s, now)
  local cap = admission.cap(s)
  if s.cap_start then cap = math.min(s.ceiling, figures.growing * cap) end
  return math.max(cap / latency.expected_s(s), lately(s, now))
end

-- Calls a second that the pool lets through from now on. How long calls take says something once some have ended.
function forecast.per_s(s, now)
  return s.ended < figures.known_calls and by_limits(s) or math.min(by_limits(s), by_cap(s, now))
end

-- How many calls go within `within_s` from now, none where the next one has to wait for longer. The state is of no
-- further use: it was asked for a permit.
function forecast.room(s, now, in_flight, within_s)
  if breaker.state(s.breaker, now) == "open" then return 1 end -- somebody has to look
  local per_s = math.min(by_limits(s), by_cap(s, now))
  local call = { lane = 0, input = s.dims[INPUT].unit, output = s.dims[OUTPUT].unit }
  local wait_s = admission.ask(s, now, call, in_flight)
  if wait_s > within_s then return 0 end
  return math.ceil(per_s * (within_s - math.max(0, wait_s)) + 1e-9)
end
