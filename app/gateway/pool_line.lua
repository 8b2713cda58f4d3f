-- The fair line of a pool as the rate controller sees it: tenants of a lane, the head of each. In Redis one sorted set
-- for each lane and tenant; its member is `PROCESS:NUMBER|input|output|lease ms`, its score is rank and time of arrival.
local RANK = 1e10

local function new_line(pool, now)
  local line, heads, listed, granted = {}, {}, {}, {}

  local function silent(process)
    local heard = pool.processes[process]
    if heard and heard > 0 and now - heard <= SILENT_S then return false end
    -- Its places are given up: a minus says so, and when it speaks again it is told.
    if heard and heard > 0 then pool.processes[process] = -heard end
    return true
  end

  local function leave(lane, tenant, member)
    if redis.call('ZREM', queue(lane, tenant), member) == 0 then return end
    local one = pool.lines[lane + 1][tenant]
    if one then one.waiting = one.waiting - 1 end
    if not one or one.waiting <= 0 then listed[lane] = nil end
    heads[queue(lane, tenant)] = nil
  end
  line.leave = leave

  function line.join(lane, tenant, member, rank, since)
    local score = string.format('%.17g', rank * RANK + since)
    if redis.call('ZADD', queue(lane, tenant), 'NX', score, member) == 0 then return end
    local lines = pool.lines[lane + 1]
    local one = lines[tenant] or { vt = 0, waiting = 0 }
    one.waiting, one.at, lines[tenant] = one.waiting + 1, now, one
    heads[queue(lane, tenant)], listed[lane] = nil, nil
  end

  function line.tenants(lane)
    local list = listed[lane]
    if list then return list end
    list = {}
    for name, one in pairs(pool.lines[lane + 1]) do
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
        pool.lines[lane + 1][tenant].waiting, listed[lane] = 0, nil
        return nil
      end
      local id, process, input, output, lease_ms = string.match(found[1], '^((%w+):%d+)|(%d+)|(%d+)|(%d+)$')
      if silent(process) then
        leave(lane, tenant, found[1])
      else
        heads[key] = {
          id = id, input = tonumber(input), output = tonumber(output), since = tonumber(found[2]) % RANK,
          process = process, lease_s = tonumber(lease_ms) / 1000, member = found[1],
        }
      end
    end
    return heads[key]
  end

  function line.pop(lane, tenant)
    local head = heads[queue(lane, tenant)]
    leave(lane, tenant, head.member)
    granted[head.id] = head
  end

  function line.charge(lane, tenant, vt)
    local one = pool.lines[lane + 1][tenant]
    one.vt, one.at = vt, now
    for _, each in ipairs(listed[lane] or {}) do
      if each[1] == tenant then each[2] = vt end
    end
  end

  -- What was popped under this id.
  function line.granted(id)
    return granted[id]
  end

  return line
end
