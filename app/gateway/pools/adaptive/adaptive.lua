-- What the service, the simulator and the tests call: the rate controller of one pool.
local adaptive = {}

-- The state of a pool at `now` (seconds): plain tables of numbers, strings and booleans, bounded in size.
function adaptive.new(now)
  local s = {
    seed = math.floor(now * 1000) % 2147483646 + 1, seq = 0, breaker = breaker.new(),
    dims = dimension.all(now), ceiling = figures.first_cap, points = {}, trail = {},
    start = true, ramp_at = now + figures.ramp_s, ramp_cum = 0, -- slow start
    step = 0, gain = 1, step_at = now, climbing = false, -- probe
    by_calls = false, prints = {}, seen_calls = {}, last_cut = -1e9, reject_s = 0.12, -- refusals
    windowed = -1e9, closed = false, dry = 0, rest_until = -1e9, trial = -1e9, -- counter windows
    cap = figures.first_cap, cap_start = true, cap_cut_at = -1e9, hot = 0, call_s = figures.first_call_s, -- latency
    ended = 0, flown = 0, flown_at = now,
    samples = {}, samples_at = now, samples_from = -1e9, most = 0, medians = {},
    headers_at = -1e9, lies = 0, lie_at = -1e9, disbelief_until = -1e9, -- announcements
    share = 1, ok_seq = 0, failed = {}, returned_at = -1e9, stopped = false, stopped_until = false, shut = false,
    real_time_at = -1e9, real_time = { input = 0, output = 0 }, floor = { 0, 0 }, passed = 0, -- lanes
  }
  s.opened = { at = now, cums = dimension.cums(s) }
  return s
end

-- What is known of calls at once is where latency begins to judge from; what is only our own bound is not. Once that is
-- taken back, the cap is what it was, unless latency has lowered it since.
local function tell_cap(s, now, most)
  local before = s.cap_before
  if most and not before then
    s.cap_before = { cap = s.cap, at = now }
  elseif before and not most then
    if s.cap_cut_at <= before.at then s.cap = math.max(s.cap, before.cap) end
    s.cap_before = nil
  end
  s.cap = most and s.cap_start and s.ceiling or math.min(s.cap, s.ceiling)
end

-- Takes what the operator knows: limits = {requests_per_minute?, tokens_per_minute?, max_in_flight?, ceiling?,
-- credential?, window?: "minute" | "sliding", where announced limits are counted so}.
function adaptive.configure(s, now, limits)
  s.ceiling = math.max(1, math.min(limits.ceiling or s.ceiling, limits.max_in_flight or math.huge))
  tell_cap(s, now, limits.max_in_flight)
  shut.renew(s, limits.credential)
  for _, d in ipairs(s.dims) do d.window = limits.window end
  announcements.configure(s, now, REQUESTS, limits.requests_per_minute)
  announcements.configure(s, now, TOKENS, limits.tokens_per_minute)
end

-- wait_s, reason, mark: 0 is granted with its mark, > 0 ask again then, -1 only after a settle.
-- call = {lane = 0 | 1, input, output}; in_flight without this call.
adaptive.ask = admission.ask

-- Learns from how a call ended; in_flight without this call. A mark is settled once.
-- result = {status, sent, took?, used?, retry_after?, label?, and limit_X, left_X for X in requests, tokens, input, output}.
adaptive.settle = settlement.settle

-- Whose turn it is, without asking whether it may go: lane, tenant, its tag, its head; nil when nobody waits.
adaptive.next = lanes.next

-- Jobs of the bulk lane are parked for the pool: told every few seconds, they count as calls that wait.
adaptive.parked = lanes.wait

-- How many of so many real-time calls go before a bulk call that has `bulk` others of its lane before it.
adaptive.before = lanes.before

-- Heads of the line, one after the other.
local function turns(s, now, line, in_flight, most)
  local grants = {}
  while #grants < most do
    local lane, tenant, tag, head, due = adaptive.next(s, now, line)
    if not lane then return grants, -1, "empty" end
    local call = { lane = lane, input = head.input, output = head.output, due = due }
    local wait_s, reason, mark = adaptive.ask(s, now, call, in_flight + #grants)
    if wait_s ~= 0 then return grants, wait_s, reason end
    line.pop(lane, tenant)
    lanes.charge(s, line, lane, tenant, tag, head)
    grants[#grants + 1] = { head.id, mark }
  end
  return grants, 0, nil
end

-- Pops heads of the fair line while they are admitted, at most `most`: grants {{id, mark}...}, then as `ask` answers;
-- reason "empty" when nobody waits any more, and a wait of 0 when `most` was reached.
function adaptive.grant(s, now, line, in_flight, most)
  local grants, wait_s, reason = turns(s, now, line, in_flight, most)
  -- Granted together they arrive in any order: each of them may meet all the others.
  for _, grant in ipairs(grants) do grant[2].calls = in_flight + #grants - 1 end
  return grants, wait_s, reason
end

-- Calls a second that are let through from now on; how many go within so many seconds (the state is thrown away then).
adaptive.per_s = forecast.per_s
adaptive.room = forecast.room

-- Seconds for which the next call is held back, and by what (the state is thrown away then).
adaptive.held = forecast.held

-- One worker's share of what is known, for its own pacing while Redis is away:
-- {cap, dimensions = {{name, rate, depth}...}, breaker, forced?, stopped}. Each worker calls it every few seconds.
adaptive.beat = absence.beat

-- {limits = {{dimension, per_minute | most, spread?, source, binding}...}, rate_per_s?, cap, breaker, ...}
adaptive.view = view.of

local ACTS = {}

-- Grants nothing, for `value` seconds or until resumed; calls in flight end. To drain is the same, said differently.
function ACTS.pause(s, now, value)
  s.stopped, s.stopped_until = "paused", value and now + value or false
end

function ACTS.drain(s)
  s.stopped, s.stopped_until = "draining", false
end

function ACTS.resume(s, now)
  s.stopped, s.stopped_until = false, false
  shut.lift(s, now)
end

function ACTS.breaker(s, now, value)
  breaker.force(s.breaker, now, value)
end

ACTS.announce = adaptive.configure

-- A state that has learned nothing of limits; what an operator did, the breaker, and who has had how much stay.
function adaptive.forget(s, now)
  local new = adaptive.new(now)
  for _, name in ipairs({ "stopped", "stopped_until", "credential", "breaker", "floor", "passed", "real_time" }) do
    new[name] = s[name]
  end
  return new
end

-- An operator says that calls may go, whatever they were told to wait for.
adaptive.lift = shut.lift

-- act: pause (value: seconds or nil), drain, resume, announce (limits), breaker ("open" | "closed" | "auto").
function adaptive.steer(s, now, act, value)
  ACTS[act](s, now, value)
end
