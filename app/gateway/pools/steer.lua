-- An operator's act upon a pool; whoever waits is rung, so that it shows at once.
-- ARGV: act (pause, resume, drain, announce, breaker, forget), its value as JSON or nothing, prefix of the rings.
local act, value, rings = ARGV[1], ARGV[2] ~= '' and cjson.decode(ARGV[2]) or nil, ARGV[3]
local pool, now = open(true)
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
close(pool)
for process in pairs(pool.processes) do redis.call('PUBLISH', rings .. process, '') end
return 'OK'
