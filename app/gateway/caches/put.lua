-- Keeps an entry, unless one of its tags was dropped since the making began; makes room for it.
-- KEYS: heads (hash), bodies (hash), used (sorted set: name by last use), ends (sorted set: name by end), bytes (counter).
-- ARGV: name, body, ms that it is fresh, ms that it is stale after that, most bytes, what keys of tags begin with,
--   then tags and stamps in pairs.
-- Returns: 1 kept, 2 too large, 0 void: a tag was dropped.
local heads, bodies, used, ends, bytes = unpack(KEYS)
local name, body, fresh, most = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[5])
local keep = fresh + tonumber(ARGV[4])
local prefix = ARGV[6]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
-- What Redis needs for an entry besides its body: measured, rounded up.
local BESIDES = 700
-- So many may go at once: bounds the time of one call.
local MOST_AT_ONCE = 1000

local tags = {}
for place = 7, #ARGV, 2 do
  local key = prefix .. ARGV[place]
  if redis.call('GET', key) ~= ARGV[place + 1] then return 0 end
  if redis.call('PTTL', key) < keep then redis.call('PEXPIRE', key, keep) end
  tags[#tags + 1], tags[#tags + 2] = ARGV[place], ARGV[place + 1]
end

local function drop(one)
  local length = redis.call('HSTRLEN', bodies, one)
  redis.call('HDEL', heads, one)
  redis.call('HDEL', bodies, one)
  redis.call('ZREM', used, one)
  redis.call('ZREM', ends, one)
  if length > 0 then redis.call('DECRBY', bytes, length + BESIDES) end
end

local size = #body + BESIDES
drop(name)
if size > most then return 2 end
for _, one in ipairs(redis.call('ZRANGEBYSCORE', ends, '-inf', now, 'LIMIT', 0, MOST_AT_ONCE)) do drop(one) end
for _ = 1, MOST_AT_ONCE do
  if tonumber(redis.call('GET', bytes) or 0) + size <= most then break end
  local oldest = redis.call('ZRANGE', used, 0, 0)[1]
  if not oldest then
    -- Redis itself threw entries out.
    redis.call('DEL', heads, bodies, ends, bytes)
    break
  end
  drop(oldest)
end

redis.call('HSET', heads, name, cmsgpack.pack({ now, now + fresh, now + keep, tags }))
redis.call('HSET', bodies, name, body)
redis.call('ZADD', used, now, name)
redis.call('ZADD', ends, now + keep, name)
redis.call('INCRBY', bytes, size)
-- A cache that nobody writes to any more goes with its last entry.
for _, key in ipairs(KEYS) do
  if redis.call('PTTL', key) < keep then redis.call('PEXPIRE', key, keep) end
end
return 1
