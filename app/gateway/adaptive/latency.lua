-- The cap on calls in flight: falls when answers take longer than they could, rises while they do not.
local latency = {}

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

-- A call ended well after `took_s` with so many tokens of output.
function latency.learn(s, now, mark, took_s, output)
  if mark.at < s.samples_from then return end
  -- A running mean of the last fifty or so; of the first calls the plain mean, in which the guess counts as four.
  s.ended = math.min((s.ended or 0) + 1, 46)
  s.call_s = s.call_s + (took_s - s.call_s) / (s.ended + 4)
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
