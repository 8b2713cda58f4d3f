-- A pool that is shut: its credential is refused, or a 429 told it to stay away for longer than any limit by the minute
-- takes. One trial an interval, of all workers, looks whether that still holds.
local shut = {}

do
  -- What one answer asks for is kept to for so long; beyond it single calls look. A minute: what limits are counted by.
  local TOLD_S = 60
  -- Between two trials of a credential: half of the time for which it is refused already, within these.
  local SHORTEST_S, LONGEST_S = 5, 60

  local function interval(one, now)
    if one.why ~= "provider_auth" then return TOLD_S end
    return math.min(LONGEST_S, math.max(SHORTEST_S, (now - one.since) / 2))
  end

  -- `seq`: calls that were let go after that one open it when they are answered.
  local function close(s, now, why, seq)
    local one = s.shut and s.shut.why == why and s.shut or { why = why, since = now, seq = 0, next = 0 }
    one.seq = math.max(one.seq, seq)
    one.next = math.max(one.next, now + interval(one, now))
    s.shut = one
  end

  -- Whether it is for its credential.
  function shut.refused(s)
    return s.shut and s.shut.why == "provider_auth" or false
  end

  -- How much of what a provider asked for a bucket stays empty.
  function shut.told_s(result)
    return math.min(result.retry_after or 0, TOLD_S)
  end

  -- Seconds until the next trial, and why: "auth" or "told"; nil: the call may go, as the trial where the pool is shut.
  function shut.ask(s, now)
    local one = s.shut
    if not one then return nil end
    local wait_s = one.next - now
    -- More than the longest interval can only be a clock that went back.
    if wait_s > 0 and wait_s <= LONGEST_S then return wait_s, one.why == "provider_auth" and "auth" or "told" end
    one.next = now + interval(one, now)
    return nil
  end

  -- Learns how a call ended. A credential is not refused where calls that were sent later are answered: then it was the
  -- question. What was in the air when a provider said how long to stay away does not end that.
  function shut.learn(s, now, mark, result)
    if result.refused then
      if mark.seq > s.ok_seq then close(s, now, "provider_auth", mark.seq) end
    elseif result.status == 429 and (result.retry_after or 0) > TOLD_S then
      close(s, now, "retry_after", s.seq)
    elseif s.shut and mark.seq > s.shut.seq and (result.status < 300 and result.status > 0 or result.status == 429) then
      s.shut = false
    end
  end

  -- There is another credential than the one that was refused.
  function shut.renew(s, credential)
    if s.credential == credential then return end
    s.credential = credential
    if shut.refused(s) then s.shut = false end
  end

  -- Calls may go from now on, whatever they were told to wait for.
  function shut.lift(s, now)
    s.shut, s.rest_until = false, -1e9
    for _, d in ipairs(s.dims) do d.level = math.max(dimension.sync(s, d, now), d.unit * 1.05) end
  end
end
