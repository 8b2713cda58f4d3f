-- Asks and tells the breaker of one named dependency; stands behind breaker.lua, whose rules it applies.
-- KEYS: state; names of all of its project and mode. ARGV: act, name, then for `ask` a number from 0 up to 1; for `tell`
--   whether it was a probe (1), when it was let go, how it ended; for `force` open, closed or auto, for `recalled` and `view` nothing.
-- Returns: its state; for `ask` also go, probe or wait, the milliseconds to wait, the time, 1 where
--   it is known whether it was forced, and 1 where it is; for all else also since
--   when (s, or nothing), milliseconds until the next probe (-1: none is waited for), whether it is forced (1), and
--   which part of all calls goes.
local KEPT_S, NAMES_KEPT_S = 3600, 30 * 86400
-- Those who are held are woken as it goes on. Should nobody do so, they come back by themselves: so many a second, less often
-- the longer it is open, and none waits longer than this.
local BACK_PER_S, LONGEST_S = 20, 1800
-- On the ramp, whoever is not let go asks again after so long.
local RAMP_S = 1

local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local packed = redis.call('GET', KEYS[1])
local b = packed and cmsgpack.unpack(packed) or breaker.new()
local act = ARGV[1]

local function keep()
  if b.force then
    redis.call('SET', KEYS[1], cmsgpack.pack(b))
  else
    redis.call('SET', KEYS[1], cmsgpack.pack(b), 'EX', KEPT_S)
  end
  redis.call('ZADD', KEYS[2], now, ARGV[2])
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - NAMES_KEPT_S)
  redis.call('EXPIRE', KEYS[2], NAMES_KEPT_S)
end

if act == 'ask' then
  local random = tonumber(ARGV[3])
  local was, held = b.mode, b.held
  local said, wait, share = breaker.ask(b, now, random)
  if said == 'go' and random >= share then said, wait = nil, RAMP_S end
  if not said then
    b.held = (held or 0) + 1
    wait = math.min(LONGEST_S, wait + b.held / BACK_PER_S)
  elseif said == 'go' and b.mode == 'closed' then
    b.held = nil
  end
  if said ~= 'go' or b.mode ~= was or b.held ~= held then keep() end
  local wait_ms, recalled, forced = math.ceil(wait * 1000), b.recalled and 1 or 0, b.force and 1 or 0
  return { breaker.state(b, now), said or 'wait', wait_ms, string.format('%.6f', now), recalled, forced }
end
if act == 'tell' then
  breaker.outcome(b, now, ARGV[3] == '1', ARGV[5], tonumber(ARGV[4]))
  keep()
elseif act == 'force' then
  breaker.force(b, now, ARGV[3])
  b.recalled = true
  keep()
elseif act == 'recalled' then
  -- The database knows of no hand that forced it.
  b.recalled = true
  keep()
end
local probe_in = breaker.probe_in(b, now)
return {
  breaker.state(b, now), b.since and string.format('%.3f', b.since) or '', probe_in and math.ceil(probe_in * 1000) or -1,
  b.force and 1 or 0, tostring(breaker.share(b, now)),
}
