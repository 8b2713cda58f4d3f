-- Takes what processes have let through of one client's requests. KEYS[1]: when all of its quota will be there again.
-- ARGV: milliseconds that the requests take to come back, and how long ago the first of them was. Answers with the milliseconds until all is there again.
local now = redis.call('TIME')
local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)
local whole_ms = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now_ms - tonumber(ARGV[2])) + tonumber(ARGV[1])
if whole_ms > now_ms then
  redis.call('SET', KEYS[1], string.format('%.3f', whole_ms), 'PX', math.ceil(whole_ms - now_ms))
end
return string.format('%.3f', math.max(0, whole_ms - now_ms))
