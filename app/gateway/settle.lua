-- Gives leases of one pool back, and pauses the pool for everyone if asked to; a longer pause stands.
-- KEYS: leases (sorted set by expiry), held (hash: process -> leases), pause.
-- ARGV: milliseconds of pause (0: none), then lease ids.
-- Returns: how many leases were still held.
local leases, held, pause = KEYS[1], KEYS[2], KEYS[3]
local pause_ms = tonumber(ARGV[1])
local freed = 0
for index = 2, #ARGV do
  local id = ARGV[index]
  if redis.call('ZREM', leases, id) == 1 then
    freed = freed + 1
    local owner = string.match(id, '^[^:]+')
    if redis.call('HINCRBY', held, owner, -1) <= 0 then redis.call('HDEL', held, owner) end
  end
end
if pause_ms > 0 and pause_ms > redis.call('PTTL', pause) then
  redis.call('SET', pause, '1', 'PX', pause_ms)
end
return freed
