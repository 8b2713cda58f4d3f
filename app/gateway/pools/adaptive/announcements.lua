-- Limits that the provider announces in its headers; the answer to the call that was sent last is believed.
local announcements = {}

local ANNOUNCED = { [REQUESTS] = "requests", [TOKENS] = "tokens", [INPUT] = "input", [OUTPUT] = "output" }

local function take_in(s, i, now, mark, result, limit, left)
  local d = s.dims[i]
  dimension.sync(s, d, now)
  -- What was left when the call was sent, moved to now: refilled since, and spent by calls sent since.
  local own = result.status == 429 and 0 or dimension.cost(i, mark)
  local seen = left + limit / 60 * (now - result.sent) - (d.cum - mark.cums[i] - own)
  if not d.known then
    d.known, d.active, d.level, s.start = true, true, d.window and math.min(seen, d.unit) or seen, false
  end
  if d.window then seen = math.min(left, d.level) end -- it comes back with the minute, not little by little
  d.rate, d.announced, d.source = limit / 60, limit, "announced"
  -- A fall is believed at once, a rise slowly: another caller may have seen a bucket that is empty by now.
  d.level = math.min(seen < d.level and seen or d.level + 0.2 * (seen - d.level), limit)
end

-- Once something is announced, guesses no longer pace.
local function drop_guesses(s)
  for _, d in ipairs(s.dims) do
    if not d.known and not d.bound then d.active = false end
  end
end

-- A refusal that names no limit, while its own headers show plenty left of all.
local function contradicts(result)
  if result.status ~= 429 or result.label then return false end
  local plenty = false
  for _, key in pairs(ANNOUNCED) do
    local limit, left = result["limit_" .. key], result["left_" .. key]
    if limit and left then
      if left < figures.plenty * limit then return false end
      plenty = true
    end
  end
  return plenty
end

-- What was announced of one limit is forgotten; what was configured stands again.
local function unknow(d)
  if not d.known then return end
  d.known, d.announced, d.source = false, 0, d.bound and "configured" or nil
  d.rate, d.active, d.level = d.bound, d.bound ~= nil, math.min(d.level, 0)
end

-- Nothing is announced any more: a start from what was accepted lately.
local function start_over(s, now)
  local requests, first = s.dims[REQUESTS], s.trail[1]
  s.start, s.ramp_at, s.ramp_cum = true, now + figures.ramp_s, requests.cum
  measurement.forget(s)
  if requests.bound then return end
  local lately = first and (requests.cum - first.cums[REQUESTS]) / math.max(5, now - first.at) or 0
  requests.rate, requests.active = math.max(figures.first_rate, lately), true
end

-- Nothing that it announces is believed for a while, and what is in the air counts for nothing.
local function disbelieve(s, now)
  s.disbelief_until, s.lies, s.last_cut = now + figures.disbelief_s, 0, now
  dimension.sync_all(s, now)
  for _, d in ipairs(s.dims) do unknow(d) end
  start_over(s, now)
end

-- A limit that answers said and say no more ages out.
local function age(s, now, d, result)
  if not d.known or result.status < 200 or result.status >= 300 then return end
  d.bare = (d.bare or 0) + 1
  if d.bare < figures.bare or now - (d.told_at or s.headers_at) < figures.bare_s then return end
  dimension.sync_all(s, now)
  unknow(d)
  for _, each in ipairs(s.dims) do
    if dimension.paces(each) then return end
  end
  start_over(s, now)
end

-- Whether the headers are believed; after some lies within a minute they are not, for an hour.
local function believed(s, now, result)
  if now < s.disbelief_until then return false end
  if not contradicts(result) then return true end
  s.lies = now - s.lie_at < 60 and s.lies + 1 or 1
  s.lie_at = now
  if s.lies >= figures.lies then disbelieve(s, now) end
  return false
end

function announcements.read(s, now, mark, result)
  if result.sent < s.headers_at or not believed(s, now, result) then return end
  local any = false
  for i, key in pairs(ANNOUNCED) do
    local limit, left = result["limit_" .. key], result["left_" .. key]
    if limit and left and limit > 0 and left >= 0 then
      take_in(s, i, now, mark, result, limit, left)
      s.dims[i].told_at, s.dims[i].bare, any = result.sent, 0, true
    else
      age(s, now, s.dims[i], result)
    end
  end
  if any then
    s.headers_at = result.sent
    drop_guesses(s)
  end
end

-- Takes a bound back: what was known before it stands again, unless a refusal has taught more since.
local function unbind(d)
  local before = d.before
  d.bound, d.before = nil, nil
  if not before or d.source == "measured" then return end
  d.rate, d.active, d.source, d.level = before.rate, before.active, before.source, math.min(d.level, d.unit)
end

-- What the operator announces: a bound that is trusted from the start, but measured and probed below it.
function announcements.configure(s, now, i, per_minute)
  local d, bound = s.dims[i], per_minute and per_minute > 0 and per_minute / 60 or nil
  if d.bound == bound then return end
  dimension.sync(s, d, now)
  if not bound then return unbind(d) end
  if not d.known and not d.bound then d.before = { rate = d.rate, active = d.active, source = d.source } end
  d.bound = bound
  if d.known then return end
  d.source = "configured"
  d.rate, d.active, d.level = bound, true, math.min(d.level, d.unit)
end
