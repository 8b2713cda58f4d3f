-- Grants leases of one pool: the first so many of those asked for.
-- KEYS: leases (sorted set by expiry), held (hash: process -> leases), waiting (sorted set: process by last seen), pause.
-- ARGV: cap, process, how long a waiting process counts (ms), then lease id and lifetime (ms) in pairs.
-- Returns: how many were granted, milliseconds of pause that remain (0: none).
local leases, held, waiting, pause = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local cap, me, fresh_ms = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local asked = (#ARGV - 3) / 2
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- Slots of holders that died come back by themselves.
for _, id in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', now)) do
  redis.call('ZREM', leases, id)
  local owner = string.match(id, '^[^:]+')
  if redis.call('HINCRBY', held, owner, -1) <= 0 then redis.call('HDEL', held, owner) end
end

local paused = redis.call('PTTL', pause)
if paused > 0 then return { 0, paused } end

redis.call('ZREMRANGEBYSCORE', waiting, '-inf', now - fresh_ms)
local shares = {}
for _, process in ipairs(redis.call('ZRANGE', waiting, 0, -1)) do
  if process ~= me then shares[process] = tonumber(redis.call('HGET', held, process) or '0') end
end
local mine = tonumber(redis.call('HGET', held, me) or '0')
local last = redis.call('HGET', held, ':last')
local free = cap - redis.call('ZCARD', leases)

-- Each free slot belongs to the waiting process with the fewest; of equals, not to the one served last.
local granted = 0
while granted < asked do
  local id = ARGV[4 + 2 * granted]
  local again = redis.call('ZSCORE', leases, id)
  if not again then
    if free <= 0 then break end
    local poorest
    for process, count in pairs(shares) do
      if not poorest or count < shares[poorest] then poorest = process end
    end
    free = free - 1
    if poorest and (shares[poorest] < mine or (shares[poorest] == mine and last == me)) then
      shares[poorest] = shares[poorest] + 1
      last = poorest
      id = nil
    else
      mine, last = mine + 1, me
      redis.call('HINCRBY', held, me, 1)
    end
  end
  if id then
    redis.call('ZADD', leases, now + tonumber(ARGV[5 + 2 * granted]), id)
    granted = granted + 1
  end
end

if granted > 0 then redis.call('HSET', held, ':last', me) end
if granted < asked then
  redis.call('ZADD', waiting, now, me)
  redis.call('PEXPIRE', waiting, fresh_ms * 4)
else
  redis.call('ZREM', waiting, me)
end
return { granted, 0 }
