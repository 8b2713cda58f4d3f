-- Enters leases that were granted while Redis was away, whatever the cap says: their calls are in the air.
-- KEYS: leases (sorted set by expiry), held (hash: process -> leases).
-- ARGV: process, then lease id and lifetime (ms) in pairs.
-- Returns: how many were new.
local leases, held = KEYS[1], KEYS[2]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local added = 0
for index = 2, #ARGV, 2 do
  added = added + redis.call('ZADD', leases, now + tonumber(ARGV[index + 1]), ARGV[index])
end
if added > 0 then redis.call('HINCRBY', held, ARGV[1], added) end
return added
