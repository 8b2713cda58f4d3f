-- What is learned from the end of a call: charges given back, refusals, failures, latency.
local settlement = {}

-- Statuses of calls that the provider did not take on: no connection, refused, not available, overloaded.
local NOT_TAKEN = { [0] = true, [429] = true, [503] = true, [529] = true }

local function give_back_all(s, mark)
  for i, d in ipairs(s.dims) do
    local cost = dimension.cost(i, mark)
    d.cum = d.cum - cost
    measurement.take_back(s, i, mark.seq, cost)
  end
end

-- Tokens that were reserved and not used, where the provider gives them back.
local function give_back_rest(s, now, mark, used)
  for i, d in ipairs(s.dims) do
    local paid = dimension.paid(i, mark, used)
    if paid then
      local rest = dimension.cost(i, mark) - paid
      d.cum = d.cum - rest
      if d.rate then d.level = math.min(dimension.depth(d), dimension.sync(s, d, now) + rest) end
    end
  end
end

local function kind(result)
  local status = result.status
  if status >= 200 and status < 300 then return result.slow and "failed" or "ok" end
  if status == 0 then return "refused" end
  return status >= 500 and "failed" or "other"
end

-- Calls that end well were sent some seconds ago, failures come back at once: the breaker's window sees an outage late.
-- So it also opens when, of all calls sent after the newest that ended well, ten and at least half have failed.
local function all_fail(s, mark, how)
  if not mark or mark.seq <= s.ok_seq then return false end
  if how == "ok" then
    local later = {}
    for _, seq in ipairs(s.failed) do
      if seq > mark.seq then later[#later + 1] = seq end
    end
    s.ok_seq, s.failed = mark.seq, later
  elseif how ~= "other" then
    measurement.push(s.failed, mark.seq, 50)
  end
  return #s.failed >= 10 and #s.failed >= 0.5 * (s.seq - s.ok_seq)
end

-- Feeds the breaker; on the way back probes wait: limits learned before are proven by use first.
local function outcome(s, now, mark, how)
  local before = breaker.state(s.breaker, now)
  breaker.outcome(s.breaker, now, mark and mark.probe, how, mark and mark.at)
  if all_fail(s, mark, how) then breaker.trip(s.breaker, now) end
  if before == "open" and breaker.state(s.breaker, now) ~= "open" then
    dimension.sync_all(s, now)
    s.step, s.gain, s.next_probe = 0, 1, now + 10
  end
end

-- What a call that was not taken on, or without known usage, used of its tokens.
local function used_of(mark, result)
  if result.used then return result.used end
  local invalid = result.status >= 400 and result.status < 500
  return invalid and 0 or mark.input + mark.output
end

function settlement.settle(s, now, mark, result, in_flight)
  -- No mark: granted by a worker alone, while Redis was away. Only the breaker can use it.
  if not mark then return outcome(s, now, nil, kind(result)) end
  -- What is told late took no longer for that.
  result.took = result.took or math.max(0, now - result.sent)
  latency.pass(s, now, in_flight + 1)
  local stale = mark.at < s.returned_at
  if not stale then announcements.read(s, now, mark, result) end
  if NOT_TAKEN[result.status] then
    give_back_all(s, mark)
  else
    give_back_rest(s, now, mark, used_of(mark, result))
  end
  if result.status == 429 and not stale then refusal.react(s, now, mark, result, in_flight) end
  shut.learn(s, now, mark, result)
  local how = kind(result)
  outcome(s, now, mark, how)
  if (how == "ok" or result.slow) and result.used and not stale then
    latency.learn(s, now, mark, result.took, math.max(0, result.used - mark.input))
  end
end
