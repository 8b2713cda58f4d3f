-- Looks for more than the measured limit: growing steps of gain, until a 429 or no more demand.
local probing = {}

-- Goes to step `step` of the gains.
function probing.step(s, now, step)
  dimension.sync_all(s, now)
  s.step, s.gain = step, figures.gains[step]
  local main, last_s = dimension.main(s), s.climbing and figures.climb_s or figures.step_s
  if main then
    -- Long enough for some calls at this rate, and for their rejections to come back.
    last_s = math.max(last_s, (s.climbing and 3 or 5) * main.unit / main.rate, 2.5 * s.reject_s)
    for _, d in ipairs(s.dims) do d.pressed = false end
  else
    last_s = math.max(last_s, 1.2 * s.call_s)
  end
  s.step_at = now + last_s
end

-- Ends a probe, and says when the next one is due: rarer for slow pools, and where counters reset with the minute.
function probing.stop(s, now, in_flight)
  dimension.sync_all(s, now)
  s.step, s.gain = 0, 1
  local main = dimension.main(s)
  local per_s = main and main.rate / main.unit or math.max(0.1, in_flight / s.call_s)
  local gap_s = math.max(figures.probe_least_s, math.min(figures.probe_calls / per_s, figures.probe_most_s))
  if now - s.windowed <= 600 then gap_s = gap_s * 8 end
  s.next_probe = now + gap_s * (0.9 + 0.2 * chance.next(s))
end

-- The last step was passed without a 429: what it tried becomes the rate, and the climb goes on.
local function settle_higher(s, now)
  dimension.sync_all(s, now)
  local up = s.gain / 1.12
  for _, d in ipairs(s.dims) do
    if d.active and d.rate and not d.known then d.rate = math.min(d.rate * up, d.bound or math.huge) end
  end
  if s.call_cap then s.call_cap = s.call_cap * up end
  s.gain = 1
  probing.step(s, now, 2)
end

local function demand(s)
  if not dimension.main(s) then return true end
  for _, d in ipairs(s.dims) do
    if d.active and d.pressed then return true end
  end
  return false
end

-- Moves the probe on, if its time has come.
function probing.tick(s, now, in_flight)
  if s.start then return end
  if s.step == 0 then
    if s.next_probe and now >= s.next_probe and s.share >= 1 then probing.step(s, now, 1) end
  elseif now >= s.step_at then
    if not demand(s) then
      probing.stop(s, now, in_flight)
    elseif s.step == #figures.gains then
      settle_higher(s, now)
    else
      probing.step(s, now, s.step + 1)
    end
  end
end
