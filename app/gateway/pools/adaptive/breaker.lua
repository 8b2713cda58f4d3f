-- Whether a dependency may be called: closed, open, or half open on a ramp. Pure: no clock, no Redis, no randomness.
-- The state is plain tables of numbers, strings and booleans; times are seconds of one clock, handed in.
local breaker = {}

do
  -- Outcomes are kept in buckets of 10 s, for 30 s.
  local BUCKET_S, BUCKETS = 10, 3
  -- Opens at half of at least so many outcomes, or after so many connection errors in a row.
  local LEAST, FAILED_SHARE, IN_A_ROW = 20, 0.5, 10
  -- On the ramp fewer outcomes are enough: there is less traffic, and it was down a moment ago.
  local LEAST_ON_RAMP = 5
  -- One probe an interval. It is a thirtieth of the time that the outage lasts already: so the way back costs about a
  -- thirtieth more than the outage, and half an hour of it takes some 150 probes. Jitter keeps breakers apart.
  local SHORTEST_S, LONGEST_S, PART_OF_OUTAGE = 1, 60, 1 / 30
  -- Shares of the learned rate on the way back, each for so long and until a call has succeeded; then it is closed.
  local RAMP, STAGE_S = { 0.25, 0.5 }, 2
  -- While it is forced open nobody probes; whoever waits asks again after so long.
  local FORCED_S = 5

  local function clear(b)
    b.buckets, b.refused = {}, 0
  end

  local function open(b, now)
    clear(b)
    b.mode, b.moved, b.since, b.opened = "open", now, now, b.opened or now
    -- An outage that goes on keeps its interval.
    b.probe_at = math.max(b.probe_at, now + SHORTEST_S)
  end

  local function ramp(b, now)
    clear(b)
    b.mode, b.moved, b.since = "ramp", now, now
    b.stage, b.stage_at, b.passed = 1, now, false
  end

  local function close(b, now)
    clear(b)
    b.mode, b.since, b.opened = "closed", now, nil
  end

  -- Counts an outcome; how many there are in the window, and how many of them failed.
  local function count(b, now, failed)
    local slot, kept, all, bad = math.floor(now / BUCKET_S), {}, 0, 0
    for _, bucket in ipairs(b.buckets) do
      if bucket[1] > slot - BUCKETS and bucket[1] <= slot then kept[#kept + 1] = bucket end
    end
    if #kept == 0 or kept[#kept][1] ~= slot then kept[#kept + 1] = { slot, 0, 0 } end
    local last = kept[#kept]
    last[2], last[3] = last[2] + 1, last[3] + (failed and 1 or 0)
    for _, bucket in ipairs(kept) do all, bad = all + bucket[2], bad + bucket[3] end
    b.buckets = kept
    return all, bad
  end

  local function climb(b, now)
    -- A clock that went back begins the stage anew.
    b.stage_at = math.min(b.stage_at, now)
    if not b.passed or now - b.stage_at < STAGE_S then return end
    b.stage, b.stage_at, b.passed = b.stage + 1, now, false
    if not RAMP[b.stage] then close(b, now) end
  end

  local function interval(b, now, random)
    local least = math.max(SHORTEST_S, (now - b.opened) * PART_OF_OUTAGE)
    return math.min(LONGEST_S, least * (1 + 0.2 * random))
  end

  -- A breaker that is closed and has heard of nothing.
  function breaker.new()
    return { mode = "closed", moved = 0, probe_at = 0, buckets = {}, refused = 0 }
  end

  -- "go" | "probe" | nil, seconds until the next probe (0: none is waited for), share of the learned rate to use.
  -- `random`: a number from 0 up to 1. "probe" is answered once an interval: the caller must make that call.
  function breaker.ask(b, now, random)
    if b.force == "closed" then return "go", 0, 1 end
    if b.force == "open" then return nil, FORCED_S, 0 end
    if b.mode == "ramp" then climb(b, now) end
    if b.mode == "closed" then return "go", 0, 1 end
    if b.mode == "ramp" then return "go", 0, RAMP[b.stage] end
    local wait_s = b.probe_at - now
    -- More than the longest interval can only be a clock that went back.
    if wait_s > 0 and wait_s <= LONGEST_S then return nil, wait_s, 0 end
    b.probe_at = now + interval(b, now, random)
    return "probe", 0, RAMP[1]
  end

  -- Learns how a call ended. `probe`: whether it was one; `sent` (optional): when it was let go.
  -- kind: "ok" | "failed" (5xx, 529, time-out, slow) | "refused" (no connection) | "other" (429, input: not counted, but
  -- an answer, so a probe that gets one has found the dependency there) | nil (nobody knows: decides nothing).
  function breaker.outcome(b, now, probe, kind, sent)
    if b.force or not kind then return end
    local failed = kind == "failed" or kind == "refused"
    if b.mode == "open" then
      if probe and not failed then ramp(b, now) end
      return
    end
    -- Left over from the outage: it tells nothing of what is.
    if (probe and failed) or (sent and sent < b.moved) then return end
    b.refused = kind == "refused" and b.refused + 1 or 0
    if kind == "other" then return end
    local all, bad = count(b, now, failed)
    local least = b.mode == "ramp" and LEAST_ON_RAMP or LEAST
    if b.refused >= IN_A_ROW or (all >= least and bad >= FAILED_SHARE * all) then
      open(b, now)
    elseif b.mode == "ramp" then
      b.passed = b.passed or not failed
      climb(b, now)
    end
  end

  -- Opens now, as by its own count: whoever counts in another way has seen enough.
  function breaker.trip(b, now)
    if not b.force and b.mode ~= "open" then open(b, now) end
  end

  -- By hand: "open" | "closed", or "auto": judged again, from a probe after "open", from nothing after "closed".
  function breaker.force(b, now, how)
    local before = b.force
    b.force = how ~= "auto" and how or nil
    if b.force ~= before then b.since = now end
    if how ~= "auto" or not before then return end
    b.moved = now
    if before == "closed" then
      close(b, now)
    else
      open(b, now)
    end
  end

  -- "closed" | "open" | "half_open"
  function breaker.state(b, now)
    if b.force then return b.force end
    return b.mode == "ramp" and "half_open" or b.mode
  end

  -- Seconds until the next probe may go; nil: none is waited for.
  function breaker.probe_in(b, now)
    if b.force or b.mode ~= "open" then return nil end
    return math.min(LONGEST_S, math.max(0, b.probe_at - now))
  end

  -- Which part of all calls goes: 0 while it is open.
  function breaker.share(b, now)
    local state = breaker.state(b, now)
    return state == "open" and 0 or state == "half_open" and RAMP[b.stage] or 1
  end
end
