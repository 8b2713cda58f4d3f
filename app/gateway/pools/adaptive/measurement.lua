-- Limits measured between moments at which the provider said "empty": in between, accepted cost equals the refill.
local measurement = {}

-- Appends to a list that keeps its newest `most` entries.
function measurement.push(list, entry, most)
  list[#list + 1] = entry
  if #list > most then table.remove(list, 1) end
end

function measurement.median(values)
  local sorted = {}
  for i, value in ipairs(values) do sorted[i] = value end
  table.sort(sorted)
  local n = #sorted
  return n % 2 == 1 and sorted[(n + 1) / 2] or (sorted[n / 2] + sorted[n / 2 + 1]) / 2
end

-- Median deviation over the median: how well values repeat.
function measurement.spread(values)
  local middle, off = measurement.median(values), {}
  if middle <= 0 then return 9 end
  for i, value in ipairs(values) do off[i] = math.abs(value - middle) end
  return measurement.median(off) / middle
end

-- The newest point at which limit `i` was empty and that still counts for it.
function measurement.last(s, i)
  local point = s.points[#s.points]
  return point and point.at >= s.dims[i].from and point or nil
end

function measurement.forget(s)
  s.points = {}
end

-- A call was not accepted after all: points behind it counted it too much.
function measurement.take_back(s, i, seq, cost)
  for k = math.max(1, #s.points - 2), #s.points do
    local point = s.points[k]
    if point.seq > seq then point.cums[i] = point.cums[i] - cost end
  end
end

-- Refill of limit `i` per second up to (`at`, `cum`), from windows between empty points: over the shortest usable
-- and over the longest usable window, nil when there is none yet; and how far off the first may be: a call and a half.
function measurement.estimate(s, i, at, cum, least_s, least_cost)
  local d, short, long, doubt = s.dims[i], nil, nil, nil
  local longest_s = math.max(figures.longest_s, d.rate and figures.longest_calls * d.unit / d.rate or 0)
  for k = #s.points, 1, -1 do
    local point = s.points[k]
    local window_s, cost = at - point.at, cum - point.cums[i]
    if window_s > longest_s or point.at < d.from then break end
    -- A short window must hold more calls: its two ends are as coarse as one call.
    if window_s >= least_s and cost >= (window_s >= 4 and least_cost or 2.4 * least_cost) then
      long = cost / window_s
      if not short then short, doubt = long, 1.5 * d.unit / window_s end
    end
  end
  return short, long, doubt
end
