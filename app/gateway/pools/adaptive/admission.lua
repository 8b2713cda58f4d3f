-- Whether one more call may be sent now, and what it takes with it.
local admission = {}

-- Slow start: doubles while pacing held calls back and most of the rate was used.
local function ramp(s, now)
  local requests = s.dims[REQUESTS]
  if not s.start or requests.known or requests.bound or now < s.ramp_at then return end
  if requests.pressed and requests.cum - s.ramp_cum >= 0.6 * requests.rate * figures.ramp_s then
    dimension.sync_all(s, now)
    local flow = 1.5 * s.cap / latency.expected_s(s) -- more than the cap lets through says nothing
    requests.rate = math.min(2 * requests.rate, math.max(4, flow, requests.rate))
  end
  requests.pressed, s.ramp_at, s.ramp_cum = false, now + figures.ramp_s, requests.cum
end

-- Every five seconds: what was accepted over the last minute, and wishes of calls that went away.
local function trail(s, now)
  local last = s.trail[#s.trail]
  if last and now - last.at < 5 then return end
  measurement.push(s.trail, { at = now, cums = dimension.cums(s) }, 12)
  for _, d in ipairs(s.dims) do
    if d.want > 0 and now > d.wanted_until then d.want = 0 end
  end
end

-- What time brings; folded into every ask.
function admission.tick(s, now, in_flight)
  trail(s, now)
  if breaker.state(s.breaker, now) == "open" then return end
  ramp(s, now)
  probing.tick(s, now, in_flight)
end

-- Calls in flight that are allowed: by latency, by refusals at one count, by what was configured.
function admission.cap(s)
  local cap = math.min(s.cap, s.ceiling)
  if s.by_calls then
    local calls = s.call_cap
    if s.step == 1 then calls = calls + 1 elseif s.step > 1 then calls = math.max(calls + 1, calls * s.gain) end
    cap = math.min(cap, calls)
  end
  return math.floor(math.max(1, cap))
end

-- What the call needs in the bucket of limit `i`; bulk leaves room for one real-time call.
local function need(s, i, d, call, reserve)
  local cost = dimension.cost(i, call)
  if d.known and not d.window then cost = math.min(cost, 0.95 * d.announced) + 0.01 * d.announced end
  return reserve and cost + dimension.cost(i, s.real_time) or cost
end

-- Seconds until every limit that paces has enough for this call.
local function paced_s(s, now, call, reserve)
  local wait_s = 0
  for i, d in ipairs(s.dims) do
    if dimension.paces(d) then
      local enough = need(s, i, d, call, reserve)
      if enough > dimension.depth(d) then d.want = enough end
      local lack, pace = enough - dimension.sync(s, d, now), dimension.pace(s, d)
      if d.want > 0 then d.wanted_until = now + math.max(0, lack) / pace + 30 end
      if lack > 1e-6 * pace then -- a clock of microseconds is no finer
        d.pressed = true
        wait_s = math.max(wait_s, lack / pace)
      end
    end
  end
  return wait_s
end

local function spend(s, now, call)
  for i, d in ipairs(s.dims) do
    local cost = dimension.cost(i, call)
    if d.rate then
      dimension.sync(s, d, now)
      d.level = d.level - cost
      if cost > 0.5 * d.want then d.want = 0 end -- the large call that was waited for
    end
    d.cum = d.cum + cost
    d.unit = d.unit + 0.02 * (cost - d.unit)
    dimension.sync(s, d, now)
  end
end

-- The call goes: its mark says what was known when it was sent.
local function take(s, now, call, in_flight, probe, trial)
  s.seq = s.seq + 1
  local mark = { at = now, seq = s.seq, calls = in_flight, cums = dimension.cums(s), input = call.input,
    output = call.output, probe = probe, trial = trial }
  windows.try(s, now, in_flight)
  spend(s, now, call)
  if call.lane == 0 then s.real_time_at, s.real_time = now, { input = call.input, output = call.output } end
  return 0, nil, mark
end

-- Seconds for which an operator stopped it; nil where nobody has.
function admission.stopped(s, now)
  if not s.stopped then return nil end
  if not s.stopped_until then return figures.stopped_s end
  if now < s.stopped_until then return s.stopped_until - now end
  s.stopped, s.stopped_until = false, false
  return nil
end

local function ramp_back(s, now, share)
  if share == s.share then return end
  dimension.sync_all(s, now)
  s.share = share
end

function admission.ask(s, now, call, in_flight)
  local stop_s = admission.stopped(s, now)
  if stop_s then return stop_s, "blocked" end
  if in_flight >= s.ceiling then return -1, "full" end
  latency.pass(s, now, in_flight)
  admission.tick(s, now, in_flight)
  local way, wait_s, share = breaker.ask(s.breaker, now, chance.next(s))
  if way == "probe" then return take(s, now, call, in_flight, true) end
  if not way then return wait_s, "breaker" end
  ramp_back(s, now, share)
  local shut_s, why = shut.ask(s, now)
  if shut_s then return shut_s, why end
  if s.shut then return take(s, now, call, in_flight, nil, true) end
  if now < s.rest_until then return s.rest_until - now, "blocked" end
  local reserve = call.lane == 1 and not call.due and now - s.real_time_at < 60
  local cap = admission.cap(s)
  -- Slots turn over too slowly to rely on priority: keep one.
  if reserve and cap >= 2 and s.call_s / cap > 0.5 then cap = cap - 1 end
  if in_flight >= cap then return -1, "full" end
  wait_s = paced_s(s, now, call, reserve)
  if wait_s > 0 then return wait_s, "paced" end
  return take(s, now, call, in_flight, nil)
end
