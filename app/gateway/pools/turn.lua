-- One turn of a process at a pool: tells what it holds, what ended, who came and who left; grants go to the heads of
-- the line, whoever's they are.
-- ARGV: process; whole: 1 when it tells everything it has, 2 when it does so again since it was forgotten; 1 for a beat; limits (JSON); most grants; prefix of the rings; then
-- counts and members of: leases held (id, ms), ended (id, mark, result as JSON, ms ago), left (lane, tenant, member),
-- joined (lane, tenant, member, id, rank, waited ms, patience ms, 1 when its job has waited before).
-- Returns: state (0 fine, 1 this process is not known: tell everything), ms until the next turn (-1: only after a
-- settle), reason, 1 when this process is the one to come then, snapshot (JSON, after a beat), ids of those for whom the
-- line is too long and how many ms it is, then granted ids and marks.
local me, whole, beat, limits, most, rings = ARGV[1], ARGV[2] ~= '0', ARGV[3] == '1', ARGV[4], tonumber(ARGV[5]), ARGV[6]
-- Who is to come for the next grant may be late by so much; then anybody comes.
local LATE_S = 0.25
local IDLE_S = 60
-- A pool that was forgotten hears first what is in flight.
local HEAR_S = 1.5

local place = 6
local function next_argument()
  place = place + 1
  return ARGV[place]
end

local pool, now = open(whole)
if not pool or (not whole and (pool.processes[me] or -1) < 0) then return { 1, 0, '', 0, '', {} } end
pool.processes[me] = now
if ARGV[2] == '2' and (pool.born == now or pool.untold) then pool.hear_until = now + HEAR_S end
pool.untold = nil
open_line(pool, now)
local core, sent_away = pool.core, {}
local answer = { 0, 0, '', 0, '', sent_away }
local flying = in_flight(now)

local function give(id, mark)
  answer[#answer + 1], answer[#answer + 2] = id, mark
end

local function drop_leases(dead)
  for _, id in ipairs(redis.call('ZRANGE', LEASES, 0, -1)) do
    if dead[string.match(id, '^%w+')] then flying = flying - redis.call('ZREM', LEASES, id) end
  end
end

-- How many workers there are; what the dead held is free again, and tenants that are gone are forgotten.
local function count()
  local alive, dead, died = 0, {}, false
  for process, heard in pairs(pool.processes) do
    if now - math.abs(heard) > DEAD_S then dead[process], died = true, true else alive = alive + 1 end
  end
  for process in pairs(dead) do
    pool.processes[process], pool.mail[process] = nil, nil
    redis.call('DEL', ROOT .. 'mail:' .. process)
  end
  if died then drop_leases(dead) end
  for _, tenants in ipairs(pool.lines) do
    for name, one in pairs(tenants) do
      if one.waiting <= 0 and now - one.at > IDLE_S then tenants[name] = nil end
    end
  end
  return alive
end

local function renew()
  redis.call('EXPIRE', LEASES, UNUSED_S)
  for lane = 0, 1 do
    for tenant, one in pairs(pool.lines[lane + 1]) do
      if one.waiting > 0 then redis.call('EXPIRE', queue(lane, tenant), UNUSED_S) end
    end
  end
end

local function adopt()
  for _ = 1, tonumber(next_argument()) do
    local id, ms = next_argument(), tonumber(next_argument())
    flying = flying + redis.call('ZADD', LEASES, string.format('%.3f', now + ms / 1000), id)
  end
end

-- Of marks that this state gave: a result without one was made while Redis was away, or before it was emptied.
local function learn(mark, result, age_s)
  if result == '' then return end
  local found = mark ~= '' and cmsgpack.unpack(mark)
  local told = cjson.decode(result)
  told.sent = now - age_s - told.took
  if found and found[1] == pool.born then
    adaptive.settle(core, now, found[2], told, flying)
  elseif not found then
    adaptive.settle(core, now, nil, told, flying)
  end
end

local function settle()
  for _ = 1, tonumber(next_argument()) do
    local id, mark, result, age_s = next_argument(), next_argument(), next_argument(), tonumber(next_argument()) / 1000
    local held = redis.call('ZREM', LEASES, id) == 1
    if held then flying = flying - 1 end
    if held or mark == '' then learn(mark, result, age_s) end
  end
end

-- Whoever was granted a lease in an answer that got lost, and waits no more, gives it back with his place.
local function leave()
  for _ = 1, tonumber(next_argument()) do
    local lane, tenant, member = tonumber(next_argument()), next_argument(), next_argument()
    line.leave(lane, tenant, member)
    flying = flying - redis.call('ZREM', LEASES, string.match(member, '^[^|]+'))
  end
end

-- Whoever comes too late for his patience parks at once, and gives up no slot for a wait that is in vain. Who stands in
-- line keeps his place, as often as he is told of.
local function in_vain(id, lane, tenant, member, rank, score, patience_s, again)
  local ahead = line.ahead(lane, tenant, rank, score, again)
  if ahead == 0 then return false end
  local wait_s = ahead / adaptive.per_s(core, now)
  if wait_s <= patience_s or line.holds(lane, tenant, member) then return false end
  sent_away[#sent_away + 1], sent_away[#sent_away + 2] = id, math.ceil(wait_s * 1000)
  return true
end

-- Whoever holds a lease already was granted it in an answer that got lost.
local function join()
  for index = 1, tonumber(next_argument()) do
    local lane, tenant, member = tonumber(next_argument()), next_argument(), next_argument()
    local id, rank, waited_s = next_argument(), tonumber(next_argument()), tonumber(next_argument()) / 1000
    local patience_s, again = tonumber(next_argument()) / 1000, next_argument() == '1'
    local score = line.place(rank, now - waited_s + index * 1e-5)
    if whole and redis.call('ZSCORE', LEASES, id) then
      give(id, '')
    elseif not in_vain(id, lane, tenant, member, rank, score, patience_s, again) then
      line.join(lane, tenant, member, score)
    end
  end
end

local function send(process, id, mark)
  local mail = ROOT .. 'mail:' .. process
  redis.call('RPUSH', mail, id, mark)
  redis.call('EXPIRE', mail, DEAD_S)
  redis.call('PUBLISH', rings .. process, id .. ' ' .. mark)
  pool.mail[process] = true
end

local function grant()
  if now < pool.hear_until then return pool.hear_until - now, 'blocked' end
  local grants, wait_s, reason = adaptive.grant(core, now, line, flying, most)
  local leases = {}
  for _, one in ipairs(grants) do
    local id, mark = one[1], cmsgpack.pack({ pool.born, one[2] })
    local head = line.granted(id)
    leases[#leases + 1], leases[#leases + 2] = string.format('%.3f', now + head.lease_s), id
    if head.process == me then give(id, mark) else send(head.process, id, mark) end
  end
  if #leases > 0 then
    redis.call('ZADD', LEASES, unpack(leases))
    redis.call('EXPIRE', LEASES, UNUSED_S)
  end
  return wait_s, reason or ''
end

-- One process comes at the right time, the others only when it does not.
local function appoint(wait_s)
  if wait_s < 0 then
    pool.keeper = nil
    return -1, 0
  end
  local at, keeper = now + wait_s, pool.keeper
  if not keeper or keeper.process == me or now > keeper.at + LATE_S or keeper.at > at + LATE_S then
    pool.keeper = { process = me, at = at }
    return wait_s, 1
  end
  return wait_s, 0
end

if whole and limits ~= pool.limits then
  pool.limits = limits
  configure(pool, now)
end
if beat then
  -- A pool where nothing went on was idle, and no worker without Redis.
  if pool.idle then core.beat_at = nil end
  answer[5] = cjson.encode(adaptive.beat(core, now, count()))
end
if pool.mail[me] then
  local mail = ROOT .. 'mail:' .. me
  for _, part in ipairs(redis.call('LRANGE', mail, 0, -1)) do answer[#answer + 1] = part end
  redis.call('DEL', mail)
  pool.mail[me] = nil
end
adopt()
settle()
leave()
join()
if beat then renew() end
local wait_s, reason = grant()
local again_s, keeper = appoint(wait_s)
answer[2], answer[3], answer[4] = again_s < 0 and -1 or math.ceil(again_s * 1000), reason, keeper
pool.idle = reason == 'empty' and redis.call('ZCARD', LEASES) == 0
close(pool)
return answer
