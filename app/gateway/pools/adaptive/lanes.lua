-- Whose turn it is: real-time before bulk, tenants by virtual time, now and then a bulk call whose lane waited long.
local lanes = {}

-- Calls of the bulk lane stand in the line, or their jobs are parked for the pool. It is the lane that waits: no call of it
-- does for long, since a job that can't go parks, comes again, and parks.
function lanes.wait(s, now)
  local wait = s.bulk_waits
  if not wait or now - wait.seen > figures.unseen_s then wait = { since = now } end
  wait.seen, s.bulk_waits = now, wait
end

-- Whether the bulk lane has waited for so long that every tenth permit is its own.
function lanes.starved(s, now)
  local wait = s.bulk_waits
  return wait ~= nil and now - wait.seen <= figures.unseen_s and now - wait.since > figures.starved_s
end

-- How many of so many real-time calls go before a bulk call that has `bulk` others of its lane before it.
function lanes.before(s, now, real_time, bulk)
  local passed = math.min(s.passed, figures.starved_passed)
  return lanes.starved(s, now) and math.min(real_time, figures.starved_passed * (bulk + 1) - passed) or real_time
end

-- How many of the next permits are the bulk lane's, whoever else waits.
function lanes.owed(s, now, permits)
  local passed = math.min(s.passed, figures.starved_passed)
  return lanes.starved(s, now) and math.floor((permits + passed) / (figures.starved_passed + 1)) or 0
end

-- Tokens that the pool lets through in the time for which a tenant is given credit.
local function credit(s, now)
  local first_seen = s.trail[1]
  if not first_seen then return 0 end
  return figures.credit_s * (s.dims[RESERVED].cum - first_seen.cums[RESERVED]) / math.max(5, now - first_seen.at)
end

-- Start-time fair queueing (Goyal, Vin, Cheng 1996): the tenant with the smallest start tag is served, and its tag
-- grows by the tokens of the call. Of what it did not use, a tenant that comes back keeps ten seconds of the pool: so
-- the few calls of a small tenant go before a flood, and one that was away for a day can't lock out the others.
local function first(s, now, line, lane)
  local floor, name, tag, head = s.floor[lane + 1] - credit(s, now), nil, nil, nil
  for _, tenant in ipairs(line.tenants(lane)) do
    local its = math.max(tenant[2], floor)
    if not tag or its <= tag then
      local its_head = line.head(lane, tenant[1])
      -- Of tenants that stand equal, the one whose call has waited longest.
      if its_head and (not tag or its < tag or its_head.since < head.since) then
        name, tag, head = tenant[1], its, its_head
      end
    end
  end
  return name, tag, head
end

-- After nine permits for real-time calls: a bulk call, if its lane has waited long.
local function due(s, now, line)
  if s.passed < figures.starved_passed or not lanes.starved(s, now) then return nil end
  return first(s, now, line, 1)
end

-- The call to be granted next: its lane, tenant, start tag, head, whether its turn came by waiting; nil: nobody waits.
function lanes.next(s, now, line)
  if #line.tenants(1) > 0 then lanes.wait(s, now) end
  local tenant, tag, head = due(s, now, line)
  if tenant then return 1, tenant, tag, head, true end
  for lane = 0, 1 do
    tenant, tag, head = first(s, now, line, lane)
    if tenant then return lane, tenant, tag, head, false end
  end
  s.bulk_waits = nil
  return nil
end

-- Notes that this call was granted: its tenant stands further back by what it costs.
function lanes.charge(s, line, lane, tenant, tag, head)
  s.floor[lane + 1] = math.max(s.floor[lane + 1], tag)
  line.charge(lane, tenant, tag + head.input + head.output)
  s.passed = lane == 0 and s.passed + 1 or 0
end
