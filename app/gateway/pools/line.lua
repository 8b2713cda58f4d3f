-- The fair line of a pool as the rate controller sees it: tenants of a lane, the head of each. In Redis one sorted set
-- for each lane and tenant; its member is `PROCESS:NUMBER|input|output|lease ms`, its score is rank and time of arrival.
local RANK = 1e10
-- What jobs are parked for the pool counts for so long after it was told.
local PARKED_S = 5

local line = {}
local line_pool, line_now = nil, 0
-- What was read already: heads and tenants; and who was popped, by id.
local heads, listed, granted = {}, {}, {}

local function open_line(pool, now)
  line_pool, line_now = pool, now
end

local function silent(process)
  local processes = line_pool.processes
  local heard = processes[process]
  if heard and heard > 0 and line_now - heard <= SILENT_S then return false end
  -- Its places are given up: a minus says so, and when it speaks again it is told.
  if heard and heard > 0 then processes[process] = -heard end
  return true
end

local function read_head(found)
  local id, process, input, output, lease_ms = string.match(found[1], '^((%w+):%d+)|(%d+)|(%d+)|(%d+)$')
  return {
    id = id, input = tonumber(input), output = tonumber(output), since = tonumber(found[2]) % RANK,
    process = process, lease_s = tonumber(lease_ms) / 1000, member = found[1],
  }
end

function line.leave(lane, tenant, member)
  if redis.call('ZREM', queue(lane, tenant), member) == 0 then return end
  local one = line_pool.lines[lane + 1][tenant]
  if one then one.waiting = one.waiting - 1 end
  if not one or one.waiting <= 0 then listed[lane] = nil end
  heads[queue(lane, tenant)] = nil
end

-- The place of a call of this rank that waits since then.
function line.place(rank, since)
  return string.format('%.17g', rank * RANK + since)
end

function line.join(lane, tenant, member, score)
  local key = queue(lane, tenant)
  if redis.call('ZADD', key, 'NX', score, member) == 0 then return end
  local lines = line_pool.lines[lane + 1]
  local one = lines[tenant] or { vt = 0, waiting = 0 }
  if one.waiting == 0 then redis.call('EXPIRE', key, UNUSED_S) end
  one.waiting, one.at, lines[tenant] = one.waiting + 1, line_now, one
  heads[key], listed[lane] = nil, nil
end

-- Whether it was told of before.
function line.holds(lane, tenant, member)
  return redis.call('ZSCORE', queue(lane, tenant), member)
end

function line.tenants(lane)
  local list = listed[lane]
  if list then return list end
  list = {}
  for name, one in pairs(line_pool.lines[lane + 1]) do
    if one.waiting > 0 then list[#list + 1] = { name, one.vt } end
  end
  listed[lane] = list
  return list
end

function line.head(lane, tenant)
  local key = queue(lane, tenant)
  while not heads[key] do
    local found = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
    if not found[1] then
      line_pool.lines[lane + 1][tenant].waiting, listed[lane] = 0, nil
      return nil
    end
    local head = read_head(found)
    if silent(head.process) then line.leave(lane, tenant, head.member) else heads[key] = head end
  end
  return heads[key]
end

function line.pop(lane, tenant)
  local head = heads[queue(lane, tenant)]
  line.leave(lane, tenant, head.member)
  granted[head.id] = head
end

function line.charge(lane, tenant, vt)
  local one = line_pool.lines[lane + 1][tenant]
  one.vt, one.at = vt, line_now
  for _, each in ipairs(listed[lane] or {}) do
    if each[1] == tenant then each[2] = vt end
  end
end

-- What was popped under this id.
function line.granted(id)
  return granted[id]
end

-- Jobs of each tenant that are parked for this pool, as far as that was told lately; `key`: a lane, or "standard".
local function parked(key)
  local told = line_pool.parked
  return told and line_now - told.at <= PARKED_S and told[key] or {}
end

-- Calls of each tenant that stand in the line and, with `all`, those whose jobs are parked; and all of them together.
local function standing(lane, all)
  local counts, total = {}, 0
  for name, one in pairs(line_pool.lines[lane + 1]) do
    counts[name], total = one.waiting, total + one.waiting
  end
  for name, count in pairs(all and parked(lane) or {}) do
    counts[name], total = (counts[name] or 0) + count, total + count
  end
  return counts, total
end

-- Those of its tenant before this place; jobs that are parked stand before whoever comes anew, bulk ones not before a
-- standard call.
local function own_before(lane, tenant, rank, score, again)
  local own = redis.call('ZCOUNT', queue(lane, tenant), '-inf', '(' .. score)
  if again then return own end
  return own + (parked(rank == 1 and 'standard' or lane)[tenant] or 0)
end

-- How many calls go before one of this tenant at this place, about: of each other tenant as many as of its own, and
-- real-time calls before any other, as the rate controller has it. Who comes anew (not `again`) stands behind the jobs
-- that are parked.
function line.ahead(lane, tenant, rank, score, again)
  local counts = standing(lane, not again)
  local own = own_before(lane, tenant, rank, score, again)
  local ahead = own
  for name, count in pairs(counts) do
    if name ~= tenant then ahead = ahead + math.min(count, own + 1) end
  end
  if lane == 0 then return ahead end
  local _, real_time = standing(0, false)
  return ahead + adaptive.before(line_pool.core, line_now, real_time, ahead)
end
