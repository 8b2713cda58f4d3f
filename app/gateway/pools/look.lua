-- What a pool is like now, as JSON; nothing of it is changed. Empty where nobody has used it.
local RANKS = { interactive = { 0, 0 }, standard = { 1, 1 }, bulk = { 1, 2 } }
local pool, now = open(false)
if not pool then return '' end

local function waiting(lane, rank)
  local count = 0
  for tenant, one in pairs(pool.lines[lane + 1]) do
    if one.waiting > 0 then
      count = count + redis.call('ZCOUNT', queue(lane, tenant), rank * RANK, '(' .. (rank + 1) * RANK)
    end
  end
  return count
end

local look = adaptive.view(pool.core, now)
look.in_flight, look.waiting = in_flight(now), {}
for name, place in pairs(RANKS) do look.waiting[name] = waiting(place[1], place[2]) end
local held_s, held_by = adaptive.held(pool.core, now, look.in_flight)
look.held_by, look.held_until = held_by, held_s and pool.read + held_s
return cjson.encode(look)
