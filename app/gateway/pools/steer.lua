-- An operator's acts upon a pool, all at once; whoever waits is rung, so that it shows at once.
-- ARGV: prefix of the rings; 1 where the acts are for a pool that nobody knows any more: nothing is done to one that is
-- known; then of each act its name (pause, resume, drain, announce, breaker, forget) and its value as JSON, or nothing.
local rings, again = ARGV[1], ARGV[2] == '1'
if again and open(false) then return 'KNOWN' end
local pool, now = open(true)
-- Made here, not by a turn: nobody has told what is in flight.
if pool.born == now then pool.untold = true end

local function move(act, value)
  if act == 'announce' then
    pool.announced = value
    configure(pool, now)
    adaptive.lift(pool.core, now)
  elseif act == 'forget' then
    -- Born anew: what is in flight began by what is forgotten.
    pool.core, pool.born = adaptive.forget(pool.core, now), now
    configure(pool, now)
  else
    adaptive.steer(pool.core, now, act, value)
  end
end

for i = 3, #ARGV, 2 do move(ARGV[i], ARGV[i + 1] ~= '' and cjson.decode(ARGV[i + 1]) or nil) end
close(pool)
for process in pairs(pool.processes) do redis.call('PUBLISH', rings .. process, '') end
return 'OK'
