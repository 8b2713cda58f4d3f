-- What people are shown of a pool.
local view = {}

-- How well the measured value of limit `key` repeats (0: exactly), or nil while too little was seen.
local function spread(s, key)
  local values = {}
  for i, print in ipairs(s.prints) do values[i] = print[key] end
  return #values >= 3 and measurement.spread(values) or nil
end

local function limits(s)
  local list, main = {}, dimension.main(s)
  for i, d in ipairs(s.dims) do
    if dimension.paces(d) then
      list[#list + 1] = {
        dimension = NAMES[i], per_minute = d.rate * 60, spread = spread(s, i), source = d.source or "guess",
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
  local main = dimension.main(s)
  return {
    limits = limits(s),
    rate_per_s = main and dimension.pace(s, main) / main.unit or nil,
    cap = admission.cap(s),
    breaker = breaker.state(s.breaker, now),
    stopped = s.stopped,
    probing = s.step > 0,
    windowed = now - s.windowed <= 600,
  }
end
