-- Whose turn it is: real-time before bulk, tenants by virtual time, now and then a bulk call that waited long.
local lanes = {}

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

-- After nine permits for real-time calls: a bulk call, if one has waited long.
local function due(s, now, line)
  if s.passed < 9 then return nil end
  local tenant, tag, head = first(s, now, line, 1)
  if tenant and now - head.since > figures.starved_s then return tenant, tag, head end
  return nil
end

-- The call to be granted next: its lane, tenant, start tag, head, whether its turn came by waiting; nil: nobody waits.
function lanes.next(s, now, line)
  local tenant, tag, head = due(s, now, line)
  if tenant then return 1, tenant, tag, head, true end
  for lane = 0, 1 do
    tenant, tag, head = first(s, now, line, lane)
    if tenant then return lane, tenant, tag, head, false end
  end
  return nil
end

-- Notes that this call was granted: its tenant stands further back by what it costs.
function lanes.charge(s, line, lane, tenant, tag, head)
  s.floor[lane + 1] = math.max(s.floor[lane + 1], tag)
  line.charge(lane, tenant, tag + head.input + head.output)
  s.passed = lane == 0 and s.passed + 1 or 0
end
