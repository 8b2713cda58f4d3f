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
    d.known, d.active, d.level, s.start = true, true, seen, false
  end
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

function announcements.read(s, now, mark, result)
  if result.sent < s.headers_at then return end
  local any = false
  for i, key in pairs(ANNOUNCED) do
    local limit, left = result["limit_" .. key], result["left_" .. key]
    if limit and left and limit > 0 and left >= 0 then
      take_in(s, i, now, mark, result, limit, left)
      any = true
    end
  end
  if any then
    s.headers_at = result.sent
    drop_guesses(s)
  end
end

-- What the operator announces: a bound that is trusted from the start, but measured and probed below it.
function announcements.configure(s, now, i, per_minute)
  local d, bound = s.dims[i], per_minute and per_minute > 0 and per_minute / 60 or nil
  if d.bound == bound then return end
  dimension.sync(s, d, now)
  d.bound = bound
  if d.known then return end
  d.source = bound and "configured" or nil
  if bound then d.rate, d.active, d.level = bound, true, math.min(d.level, d.unit) end
end
