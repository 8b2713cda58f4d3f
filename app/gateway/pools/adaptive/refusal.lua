-- What a 429 changes: one reaction for each epoch, whatever the number of workers and of 429s.
local refusal = {}

-- Another 429 of calls that were granted before the last reaction: a rejected call may still have used up quota.
local function same_epoch(s, mark)
  local calls = attribution.note_more(s, mark)
  if s.by_calls and s.call_cap > calls then s.call_cap = math.max(1, attribution.seen_cap(s, calls)) end
  for _, d in ipairs(s.dims) do
    if d.active and d.rate and not d.known then d.level = math.max(d.level - d.unit, -1.5 * d.rate) end
  end
end

-- Accepted costs up to the refused call; what was left was less than it asked for: half of it is counted.
local function counted(mark)
  local cums = {}
  for i, cum in ipairs(mark.cums) do cums[i] = i == REQUESTS and cum or cum + 0.5 * dimension.cost(i, mark) end
  return cums
end

-- A cap on calls in flight; request pacing stays as a loose guard.
local function cap_calls(s, calls, probing_now)
  local seen = attribution.seen_cap(s, calls)
  s.call_cap = math.max(1, (probing_now or not s.call_cap) and seen or math.min(s.call_cap, seen))
  local requests = s.dims[REQUESTS]
  if requests.known then return end
  requests.rate = math.max(requests.rate or 0, 1.5 * math.max(requests.proven, calls / s.call_s))
  requests.active = true
end

local function blame(s, binding, now, result, mark, cums, in_flight)
  local probing_now, gain, again = s.step > 0, s.gain, false
  local d = s.dims[binding]
  if d and d.known then
    d.level = math.min(d.level, 0)
  elseif d then
    again = recut.cut(s, binding, now, result, cums[binding], probing_now, gain, in_flight)
  end
  measurement.push(s.points, { at = result.sent, seq = mark.seq, cums = cums }, 40)
  s.by_calls = not d
  for i, each in ipairs(s.dims) do each.active = i == binding or each.known or each.bound ~= nil end
  if d then s.call_cap = nil else cap_calls(s, mark.calls, probing_now) end
  return again
end

function refusal.react(s, now, mark, result, in_flight)
  s.reject_s = s.reject_s + 0.2 * (result.took - s.reject_s)
  if mark.at <= s.last_cut then return same_epoch(s, mark) end
  s.last_cut, s.cap_start, s.start = now, false, false
  dimension.sync_all(s, now)
  local cums, last = counted(mark), measurement.last(s, REQUESTS)
  attribution.note(s, result.sent, cums, mark)
  if windows.closed(s, now, last and cums[REQUESTS] - last.cums[REQUESTS] or 9) then return end
  local binding = attribution.name(s, result.label, mark.calls)
  s.climbing = blame(s, binding, now, result, mark, cums, in_flight)
  probing.stop(s, now, in_flight)
  if s.climbing then s.next_probe = now + figures.climb_s end
end
