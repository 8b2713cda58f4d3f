-- Providers that count by the minute: nothing is accepted for a while, then much at once.
local windows = {}

-- Counts 429s between which nothing was accepted; from the second on, pauses and single trials instead of cuts.
-- Returns true while the window is believed closed.
function windows.closed(s, now, accepted)
  -- Calls that were sent before the answer to others was seen say nothing.
  local unsure = math.min(2, 1.5 * s.reject_s * math.min(1000, s.dims[REQUESTS].rate or 1000))
  s.dry = accepted <= unsure and s.dry + 1 or 0
  if s.dry <= 1 then return false end
  s.rest_until = now + math.min(5, 0.25 * 2 ^ math.min(s.dry - 2, 10))
  if s.dry == 4 then s.closed, s.windowed = dimension.cums(s), now end
  return true
end

-- What one whole cycle accepted is the rate to pace at; a shorter opening was an echo, not a cycle.
local function reopen(s, now, in_flight)
  dimension.sync_all(s, now)
  local open_s = now - s.opened.at
  for i, d in ipairs(s.dims) do
    if open_s >= 20 and d.active and d.rate and not d.known then
      local accepted = (s.closed[i] - s.opened.cums[i]) / open_s
      d.rate = math.max(accepted * (1 - figures.in_hand), 0.25 * d.rate, 0.02 * d.unit)
      d.proven, d.level, d.source = d.rate, 0, "measured"
    end
  end
  measurement.forget(s)
  if open_s >= 20 then s.opened = { at = now, cums = dimension.cums(s) } end
  s.closed, s.prints, s.seen_calls, s.climbing = false, {}, {}, false
  probing.stop(s, now, in_flight)
end

-- While closed: one trial at a time, until one was not rejected for three times as long as a rejection takes.
function windows.try(s, now, in_flight)
  if s.dry <= 1 then return end
  if s.trial > s.last_cut and now - s.trial >= 3 * s.reject_s then
    s.dry = 0
    if s.closed then reopen(s, now, in_flight) end
  else
    s.trial, s.rest_until = now, now + 3.3 * s.reject_s
  end
end
