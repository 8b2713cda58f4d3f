-- The cap on calls in flight: falls when answers take longer than they could, rises while they do not.
local latency = {}

local FIRST = 50 -- calls

-- Median deviation as a standard error of the median of `n`, 1.5 of them.
local function noise(samples)
  return 1.5 * 1.25 * 1.48 * measurement.spread(samples) / math.sqrt(#samples)
end

local function base(medians)
  local sorted = {}
  for i, value in ipairs(medians) do sorted[i] = value end
  table.sort(sorted)
  return sorted[math.floor(#sorted / 6) + 1]
end

local function lower(s, now, ratio, most)
  s.hot = s.hot + 1
  if s.hot < 2 and ratio <= 1.6 then return end
  s.cap = math.max(4, math.min(s.cap, most) * math.max(0.6, 1.05 / ratio))
  s.cap_cut, s.cap_cut_at, s.hot, s.cap_start, s.samples_from = s.cap, now, 0, false, now
end

local function raise(s, now, most)
  s.hot = 0
  if most < 0.75 * s.cap then return end
  if s.cap_start then
    s.cap, s.samples_from = 2 * s.cap, now
  elseif s.cap_cut and now - s.cap_cut_at < 120 and math.abs(s.cap - s.cap_cut) <= 0.15 * s.cap then
    s.cap = s.cap + math.max(0.5, math.sqrt(s.cap) / 8) -- near the last fall: slowly
  else
    s.cap = s.cap + math.sqrt(s.cap) / 2
  end
  s.cap = math.min(s.cap, s.ceiling)
end

-- Time in flight, of all calls together, up to `now`: so many were in flight since the last time.
function latency.pass(s, now, in_flight)
  if s.ended >= FIRST then return end
  s.flown = s.flown + in_flight * math.max(0, now - s.flown_at)
  s.flown_at = now
end

-- How long a call takes, for the slow start. The first calls to end are the short ones; so of them the time that all
-- have flown, ended or not, is divided by how many have ended (the estimate for censored lifetimes); the guess counts as
-- four. It is used only where calls are clearly faster than the guess.
function latency.expected_s(s)
  local first_s = (4 * figures.first_call_s + s.flown) / (4 + s.ended)
  return first_s < 0.5 * s.call_s and first_s or s.call_s
end

-- A call ended well after `took_s` with so many tokens of output.
function latency.learn(s, now, mark, took_s, output)
  if mark.at < s.samples_from then return end
  s.ended = math.min(s.ended + 1, FIRST)
  s.call_s = s.call_s + 0.02 * (took_s - s.call_s)
  -- Time for each unit of output, so that the mix of calls does not matter.
  measurement.push(s.samples, took_s / (30 + output), 50)
  s.most = math.max(s.most, mark.calls + 1)
  if #s.samples < math.max(16, math.min(50, s.cap / 2)) or now - s.samples_at < 1 then return end
  local median, error, most = measurement.median(s.samples), noise(s.samples), s.most
  s.samples, s.samples_at, s.most = {}, now, 0
  measurement.push(s.medians, median, 60)
  local lowest = base(s.medians)
  local ratio = lowest > 0 and median / lowest or 1
  if ratio > figures.slower + error then lower(s, now, ratio, most) else raise(s, now, most) end
end
