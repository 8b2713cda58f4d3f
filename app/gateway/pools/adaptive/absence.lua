-- Redis away and back: what each worker keeps to alone, and what no longer counts afterwards.
local absence = {}

-- What was accepted meanwhile is unknown: no window reaches over it, and buckets start empty.
local function come_back(s, now)
  for _, d in ipairs(s.dims) do d.at, d.level = now, 0 end
  measurement.forget(s)
  s.prints, s.step, s.gain, s.next_probe, s.returned_at = {}, 0, 1, now + 5, now
end

-- One worker's part of what is known, a little below it: nobody probes or measures then.
local function share_of(s, workers)
  local share, dimensions = figures.away_share / workers, {}
  for i, d in ipairs(s.dims) do
    if dimension.paces(d) then
      local rate = math.min(d.rate, d.bound or d.rate) * share
      dimensions[#dimensions + 1] = { name = NAMES[i], rate = rate, depth = math.max(2 * d.unit, 0.5 * rate) }
    end
  end
  local cap = math.min(s.cap, s.ceiling, s.by_calls and s.call_cap or s.ceiling)
  return { cap = math.max(1, math.floor(cap * share * 1.1)), dimensions = dimensions }
end

function absence.beat(s, now, workers)
  if s.beat_at and now - s.beat_at > figures.return_gap_s then come_back(s, now) end
  s.beat_at = now
  local snapshot = share_of(s, math.max(1, workers))
  snapshot.breaker = breaker.state(s.breaker, now)
  snapshot.forced = s.breaker.force ~= nil or nil
  snapshot.stopped = s.stopped
  snapshot.refused = shut.refused(s)
  -- No limit was met yet: where nothing refuses, a worker goes on to look for it, up to its part of the hard bound.
  local requests = s.dims[REQUESTS]
  if s.start and not requests.known and not requests.bound then
    snapshot.most = math.max(1, math.floor(s.ceiling * figures.away_share / math.max(1, workers) * 1.1))
  end
  return snapshot
end
