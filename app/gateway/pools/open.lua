-- The state of one pool: read, kept on a clock that never goes back, written. After the text of the rate controller.
-- KEYS: state (packed), leases (sorted set: lease by the time it expires), root of the pool's other keys.
local STATE, LEASES, ROOT = KEYS[1], KEYS[2], KEYS[3]
-- Another number begins anew: the shape of the state has changed.
local FORMAT = 1
-- A pool that nobody used for so long is forgotten.
local KEPT_S = 30 * 86400
-- Its leases and its line are worth nothing without anybody who beats.
local UNUSED_S = 86400
-- A process that was silent for so long waits no more; its leases are kept longer: its calls may be in the air.
local SILENT_S, DEAD_S = 3, 20
-- Where calls are in flight somebody comes every few seconds. A longer gap is a clock that was set forward, or a Redis
-- that was away: it counts as so much, or all leases would expire at once.
local LONGEST_GAP_S = 12

local function unpacked(text)
  local fine, pool = pcall(cmsgpack.unpack, text)
  return fine and type(pool) == 'table' and pool.format == FORMAT and pool or nil
end

-- Seconds; a server's clock that was set goes on from where it was.
local function clock(pool)
  local time = redis.call('TIME')
  local read = tonumber(time[1]) + tonumber(time[2]) / 1e6
  local gap = read - pool.read
  if gap < 0 then pool.ahead = pool.ahead - gap end
  if gap > LONGEST_GAP_S and not pool.idle then pool.ahead = pool.ahead - gap + LONGEST_GAP_S end
  pool.read = read
  return read + pool.ahead
end

-- The pool and its time; the pool is nil when there is none and `make` doesn't ask for one.
local function open(make)
  local text = redis.call('GET', STATE)
  local pool = text and unpacked(text)
  if not pool and not make then return nil end
  local new = not pool
  pool = pool or { format = FORMAT, read = 0, ahead = 0, hear_until = 0, idle = true, lines = { {}, {} }, processes = {}, mail = {}, limits = '' }
  local now = clock(pool)
  if new then pool.born, pool.core = now, adaptive.new(now) end
  return pool, now
end

local function close(pool)
  redis.call('SET', STATE, cmsgpack.pack(pool), 'EX', KEPT_S)
end

local function in_flight(now)
  redis.call('ZREMRANGEBYSCORE', LEASES, '-inf', string.format('%.3f', now))
  return redis.call('ZCARD', LEASES)
end

local function queue(lane, tenant)
  return ROOT .. 'line:' .. lane .. ':' .. tenant
end

-- What the workers' settings say of the limits, and over it what an operator announced.
local function configure(pool, now)
  if pool.limits == '' then return end
  local limits = cjson.decode(pool.limits)
  for name, value in pairs(pool.announced or {}) do limits[name] = value end
  adaptive.configure(pool.core, now, limits)
end
