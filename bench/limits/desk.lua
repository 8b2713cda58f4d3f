-- What stands for Redis in the simulator: the state of one pool, its line of waiters, and the marks of calls in flight.
local desk = {}
local state, marks = nil, {}
local line, queues, clocks = {}, { {}, {} }, { {}, {} }

-- The fair line as `adaptive.grant` wants it: tenants that have waiters, the head of each, and where each stands.
function line.tenants(lane)
  local all = {}
  for name, queue in pairs(queues[lane + 1]) do
    if queue.first <= queue.last then all[#all + 1] = { name, clocks[lane + 1][name] or 0 } end
  end
  return all
end

function line.head(lane, tenant)
  local queue = queues[lane + 1][tenant]
  return queue[queue.first]
end

function line.pop(lane, tenant)
  local queue = queues[lane + 1][tenant]
  queue[queue.first], queue.first = nil, queue.first + 1
end

function line.charge(lane, tenant, tag)
  clocks[lane + 1][tenant] = tag
end

function desk.open(now, limits)
  state = adaptive.new(now)
  adaptive.configure(state, now, limits)
end

-- A waiter registers; one that comes back after a failure stands before those of its tenant that never went.
function desk.register(id, lane, tenant, input, output, since, again)
  local queue = queues[lane + 1][tenant] or { first = 1, last = 0 }
  queues[lane + 1][tenant] = queue
  local at = again and queue.first - 1 or queue.last + 1
  queue[at] = { id = id, input = input, output = output, since = since }
  queue.first, queue.last = math.min(queue.first, at), math.max(queue.last, at)
end

-- Seconds until the next ask (-1: after a settle), then the ids of those that were granted.
function desk.grant(now, in_flight, most)
  local grants, wait_s = adaptive.grant(state, now, line, in_flight, most)
  local ids = {}
  for i, grant in ipairs(grants) do
    ids[i], marks[grant[1]] = grant[1], grant[2]
  end
  return wait_s, unpack(ids)
end

function desk.settle(now, id, in_flight, status, sent, used, retry_after, label, limits)
  local result = { status = status, sent = sent, used = used, retry_after = retry_after, label = label }
  if limits then
    result.limit_requests, result.left_requests, result.limit_tokens, result.left_tokens = unpack(limits, 1, 4)
  end
  local mark = marks[id]
  marks[id] = nil
  adaptive.settle(state, now, mark, result, in_flight)
end

-- The head of the line for a worker that is alone: nobody else is asked.
function desk.alone(now)
  local lane, tenant, tag, head = adaptive.next(state, now, line)
  if lane then return lane, tenant, head.id end
end

function desk.pop(lane, tenant)
  line.pop(lane, tenant)
end

function desk.beat(now, workers)
  return adaptive.beat(state, now, workers)
end

-- Jobs of the bulk lane are parked for the pool.
function desk.parked(now)
  adaptive.parked(state, now)
end

function desk.state()
  return state
end

return desk
