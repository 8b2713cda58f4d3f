-- The counters in Redis: a batch of operations in one script, each by the rules of `budget` above.
--
-- KEYS[1] is the prefix of all keys, which share its hash tag. ARGV[1] is a JSON list of operations; the answer has one
-- list of texts for each. A call that is not on the books is one entry of the hash `calls`, by expiry in `open`.
local prefix = KEYS[1]
local calls, open, names = prefix .. "calls", prefix .. "open", prefix .. "counters"
local time = redis.call("TIME")
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
-- Late bookings find the counter for so long after its period.
local KEPT_MS = 2 * 86400 * 1000
-- Whoever began to read the ledger and is silent for so long has died.
local SEEDING_MS = 5000
-- So far a worker's clock may be off where a period turns.
local OFF_MS = 60000

local function text(number)
  return string.format("%.0f", number)
end

local function read(one)
  local found = redis.call("HMGET", prefix .. one.name, "spent", "open", "pend")
  return {
    name = one.name,
    cap = one.cap,
    ends = one.ends,
    spent = tonumber(found[1] or nil),
    open = tonumber(found[2] or "0"),
    pend = tonumber(found[3] or nil),
  }
end

local function read_all(given)
  local found = {}
  for i, one in ipairs(given) do
    found[i] = read(one)
  end
  return found
end

local function keep(counter)
  local key = prefix .. counter.name
  redis.call("HSET", key, "open", text(counter.open))
  for _, field in ipairs({ "spent", "pend" }) do
    if counter[field] then
      redis.call("HSET", key, field, text(counter[field]))
    else
      redis.call("HDEL", key, field)
    end
  end
  redis.call("PEXPIREAT", key, text(counter.ends + KEPT_MS))
  redis.call("ZADD", names, text(counter.ends), counter.name)
end

local function keep_all(counters)
  for _, counter in ipairs(counters) do
    keep(counter)
  end
end

local function spent_of(counters, first)
  local answer = { first }
  for i, counter in ipairs(counters) do
    answer[i + 1] = counter.spent and text(counter.spent) or ""
  end
  return answer
end

local function known(id)
  local packed = redis.call("HGET", calls, id)
  return packed and cmsgpack.unpack(packed)
end

local function enter(step, counters, before, amount)
  budget.change(counters, before, amount)
  keep_all(counters)
  local entry = { amount = amount, counters = step.counters, about = step.about }
  redis.call("HSET", calls, step.id, cmsgpack.pack(entry))
  redis.call("ZADD", open, text(now_ms + step.ttl_ms), step.id)
end

local function leave(id)
  redis.call("HDEL", calls, id)
  redis.call("ZREM", open, id)
end

local act = {}

-- {id, amount, ttl_ms, about, counters = {{name, cap, starts, ends}...}} -> verdict and what is spent of each, or the
-- number of the counter that forbids it: "clock" where whoever asks lives in another period than Redis.
function act.reserve(step)
  for i, one in ipairs(step.counters) do
    if now_ms < one.starts - OFF_MS or now_ms > one.ends + OFF_MS then
      return { "clock", text(i) }
    end
  end
  local counters = read_all(step.counters)
  if known(step.id) then
    return spent_of(counters, "granted")
  end
  local verdict, which = budget.judge(counters, step.amount)
  if verdict ~= "granted" then
    return { verdict, text(which) }
  end
  enter(step, counters, 0, step.amount)
  return spent_of(counters, verdict)
end

-- {id, cost, ttl_ms, about, counters}: the call has ended; one that Redis has forgotten is entered again.
function act.settle(step)
  local entry = known(step.id)
  enter(step, read_all(step.counters), entry and entry.amount or 0, step.cost)
  return { "settled" }
end

-- {id, cost}: the ledger has it. One that is not known was counted with the ledger, or will be.
function act.book(step)
  local entry = known(step.id)
  if not entry then
    return { "unknown" }
  end
  local counters = read_all(entry.counters)
  budget.book(counters, entry.amount, step.cost)
  keep_all(counters)
  leave(step.id)
  return spent_of(counters, "booked")
end

-- {counters} -> what is spent of each, empty where it is not seeded.
function act.read(step)
  return spent_of(read_all(step.counters), "read")
end

-- {counter, token} -> "begun" and the open calls to leave out of the sum, or "busy", or "seeded".
function act.begin(step)
  local counter = read(step.counter)
  if counter.spent then
    return { "seeded" }
  end
  if not redis.call("SET", prefix .. "seeding:" .. counter.name, step.token, "NX", "PX", text(SEEDING_MS)) then
    return { "busy" }
  end
  local answer, held = { "begun" }, 0
  for _, id in ipairs(redis.call("HKEYS", calls)) do
    local entry = known(id)
    for _, one in ipairs(entry.counters) do
      if one.name == counter.name then
        answer[#answer + 1], held = id, held + entry.amount
      end
    end
  end
  budget.begin(counter, held)
  keep(counter)
  return answer
end

-- {counter, token, sum}: what the ledger says without those calls.
function act.seed(step)
  local counter, key = read(step.counter), prefix .. "seeding:" .. step.counter.name
  if redis.call("GET", key) ~= step.token or not counter.pend then
    return { "late" }
  end
  redis.call("DEL", key)
  budget.seed(counter, step.sum)
  keep(counter)
  return { "seeded" }
end

-- {counters}: nobody can say any more what is spent; the next call has the ledger read.
function act.forget(step)
  for _, one in ipairs(step.counters) do
    redis.call("HDEL", prefix .. one.name, "spent", "pend")
    redis.call("DEL", prefix .. "seeding:" .. one.name)
  end
  return { "forgotten" }
end

-- {limit} -> id, amount and about of calls whose holder is silent; `book` or `drop` ends each.
function act.expired(step)
  local answer = { "expired" }
  for _, id in ipairs(redis.call("ZRANGEBYSCORE", open, "-inf", text(now_ms), "LIMIT", 0, step.limit)) do
    local entry = known(id)
    if entry then
      for _, word in ipairs({ id, text(entry.amount), entry.about }) do
        answer[#answer + 1] = word
      end
    else
      redis.call("ZREM", open, id)
    end
  end
  return answer
end

-- {id}: the call was not made.
function act.release(step)
  local entry = known(step.id)
  if entry then
    local counters = read_all(entry.counters)
    budget.change(counters, entry.amount, 0)
    keep_all(counters)
    leave(step.id)
  end
  return { "released" }
end

-- {id}: the ledger had it before, and nobody knows whether it was counted.
function act.drop(step)
  local entry = known(step.id)
  act.release(step)
  return entry and act.forget(entry) or { "unknown" }
end

-- -> the names of all counters that may still be asked for.
function act.counters(step)
  redis.call("ZREMRANGEBYSCORE", names, "-inf", text(now_ms - KEPT_MS))
  return redis.call("ZRANGE", names, 0, -1)
end

-- {counter, by}: the ledger says otherwise.
function act.adjust(step)
  local counter = read(step.counter)
  if counter.spent then
    counter.spent = math.max(0, counter.spent + step.by)
    keep(counter)
  end
  return { "adjusted" }
end

local answers = {}
for i, step in ipairs(cjson.decode(ARGV[1])) do
  answers[i] = act[step.act](step)
end
return answers
