-- The new rate of a limit whose bucket was just seen empty.
local recut = {}

-- What passes through now, from calls in flight: the guess for a limit that has no rate yet.
local function flow(s, d, in_flight)
  return math.max(0.5, in_flight / s.call_s) * d.unit * 1.3
end

-- No window to measure in yet: a deep cut, from which the rate climbs at once; less deep just after another.
local function without(d, now, current)
  local deep = now - d.cut_at < math.max(3, 6 * d.unit / current) and 0.6 or 0.25
  return math.max(deep * current, math.min(d.proven, 0.7 * current))
end

-- A measured value, held between the old and the probed rate; second result: climb on at once.
local function within(d, estimate, current, probing_now, gain)
  local new = estimate * (1 - figures.in_hand)
  if not d.rate then return new, false end
  if not probing_now then return math.min(new, current), new > current end
  new = math.min(math.max(new, d.rate), d.rate * gain)
  return new, new > 1.03 * d.rate
end

local function measured(d, sent, short, long, doubt, current, probing_now, gain)
  local estimate = long
  if math.abs(short - long) > math.max(0.12 * long, doubt) then -- the limit moved: older points tell of another one
    estimate, d.from = short, sent - 5
  end
  local new, again = within(d, estimate, current, probing_now, gain)
  d.proven, d.source, d.spread = new, "measured", math.max(math.abs(short - long), doubt) / long
  return new, again
end

-- Far below what was accepted over the last minute: perhaps another limit was to blame, so look again soon.
local function doubtful(s, i, new, sent, cum)
  local first = s.trail[1]
  return first and new < 0.6 * (cum - first.cums[i]) / math.max(5, sent - first.at)
end

-- Cuts limit `i`; true asks for a quick climb. `gain` is the probe's, 1 outside of one.
function recut.cut(s, i, now, result, cum, probing_now, gain, in_flight)
  local d, new, again = s.dims[i], nil, false
  local passing = flow(s, d, in_flight)
  local current = d.rate and d.rate * gain or passing
  if s.by_calls then current = math.min(current, 1.5 * passing) end
  local least_s = now - s.windowed > 600 and 0.8 or 30 -- where counters reset, short spans say nothing
  local least = (i == REQUESTS and 5 or 8) * d.unit
  local short, long, doubt = measurement.estimate(s, i, result.sent, cum, least_s, least)
  if short then
    new, again = measured(d, result.sent, short, long, doubt, current, probing_now, gain)
  elseif least_s > 1 then
    new = d.proven > 0 and math.max(math.min(current, d.proven), 0.5 * current) or current
  else
    new, again = without(d, now, current), true
  end
  if not probing_now and doubtful(s, i, new, result.sent, cum) then again = true end
  d.cut_at, d.at, d.level = now, now, -0.3 * d.unit
  d.rate = math.min(math.max(new, 0.02 * d.unit), d.bound or math.huge)
  local after_s = shut.told_s(result)
  if after_s > 1 then d.level = math.min(d.level, d.unit - d.rate * (after_s - 0.5)) end
  return again
end
