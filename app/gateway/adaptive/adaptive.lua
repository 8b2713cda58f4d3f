-- What the service, the simulator and the tests call: the rate controller of one pool.
local adaptive = {}

-- The state of a pool at `now` (seconds), plain tables of numbers, strings and booleans.
function adaptive.new(now)
  return { since = now, ceiling = 16, seq = 0, floor = { 0, 0 }, passed = 0 }
end

-- Takes what is announced: limits = {requests_per_minute?, tokens_per_minute?, max_in_flight?, ceiling}.
function adaptive.configure(s, now, limits)
  s.ceiling = math.min(limits.ceiling or s.ceiling, limits.max_in_flight or math.huge)
end

-- wait_s, reason, mark: 0 is granted with its mark, > 0 ask again then, -1 only after a settle.
function adaptive.ask(s, now, call, in_flight)
  if in_flight >= s.ceiling then return -1, "full" end
  s.seq = s.seq + 1
  return 0, nil, { t = now, seq = s.seq, infl = in_flight, input = call.input, output = call.output }
end

-- Learns from how a call ended.
function adaptive.settle(s, now, mark, result, in_flight)
end

-- Pops heads of the fair line while they are admitted, at most `most`: grants {{id, mark}...}, then as `ask` answers;
-- reason "empty" when nobody waits any more, and a wait of 0 when `most` was reached.
function adaptive.grant(s, now, line, in_flight, most)
  local grants = {}
  while #grants < most do
    local lane, tenant, tag, head, due = lanes.next(s, now, line)
    if not lane then return grants, -1, "empty" end
    local call = { lane = lane, input = head.input, output = head.output, due = due }
    local wait, reason, mark = adaptive.ask(s, now, call, in_flight + #grants)
    if wait ~= 0 then return grants, wait, reason end
    line.pop(lane, tenant)
    lanes.charge(s, line, lane, tenant, tag, head)
    grants[#grants + 1] = { head.id, mark }
  end
  return grants, 0, nil
end
