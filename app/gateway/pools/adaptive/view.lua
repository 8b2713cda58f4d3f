-- What people are shown of a pool.
local view = {}

-- How well the measured value of limit `key` repeats (0: exactly); before it has, how far apart its windows were.
local function spread(s, key)
  local values = {}
  for i, print in ipairs(s.prints) do values[i] = print[key] end
  if #values >= 3 then return measurement.spread(values) end
  return key ~= CALLS and s.dims[key].spread or nil
end

-- The limit that lets the fewest calls through, and how many a second.
local function slowest(s)
  local found, least = nil, nil
  for _, d in ipairs(s.dims) do
    local per_s = dimension.paces(d) and dimension.pace(s, d) / d.unit
    if per_s and (not least or per_s < least) then found, least = d, per_s end
  end
  return found, least
end

local function limits(s)
  local list, main = {}, not s.by_calls and slowest(s)
  for i, d in ipairs(s.dims) do
    if dimension.paces(d) then
      list[#list + 1] = {
        dimension = NAMES[i], per_minute = d.rate * 60, source = d.source or "guess",
        spread = d.source == "measured" and spread(s, i) or nil,
        binding = d == main,
      }
    end
  end
  if s.by_calls then
    list[#list + 1] = {
      dimension = CALLS, most = s.call_cap, spread = spread(s, CALLS), source = "measured", binding = true,
    }
  end
  return list
end

function view.of(s, now)
  local _, per_s = slowest(s)
  return {
    limits = limits(s),
    rate_per_s = not s.by_calls and per_s or nil,
    cap = admission.cap(s),
    breaker = breaker.state(s.breaker, now),
    stopped = s.stopped,
    shut = s.shut and s.shut.why,
    probing = s.step > 0,
    windowed = now - s.windowed <= 600,
  }
end
