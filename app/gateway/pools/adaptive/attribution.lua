-- Which limit refused a call: the one whose measured value repeats from one 429 epoch to the next.
local attribution = {}

local CALLS = "calls" -- calls in flight, beside the indices of the other limits

local function values(prints, key)
  local all = {}
  for i, print in ipairs(prints) do all[i] = print[key] end
  return all
end

local function least(spreads, keys)
  local best = nil
  for _, key in ipairs(keys) do
    if spreads[key] and (not best or spreads[key] < spreads[best]) then best = key end
  end
  return best
end

-- How well each limit's value repeats; requests are favoured a little, as the commonest limit.
local function spreads_of(prints)
  local spreads = {}
  if #prints == 0 then return spreads end
  for i = REQUESTS, INPUT do
    spreads[i] = measurement.spread(values(prints, i)) + (i == REQUESTS and 0 or 0.004)
  end
  return spreads
end

-- Counts differ a little: calls overtake one another between here and the provider.
local function near(a, b)
  local high = math.max(a, b)
  return math.abs(a - b) <= (high >= 20 and math.max(1, 0.03 * high) or 0)
end

-- Of a few calls in flight each count repeats by chance: there it takes more epochs whose rates do not agree.
local function too_few(s, spreads)
  local counts = values(s.seen_calls, "calls")
  return #counts > 0 and measurement.median(counts) < 4 and (#s.prints < 5 or spreads[REQUESTS] <= 0.15)
end

-- Three refusals, apart in time, at the same number of calls in flight; once believed, until it is refuted.
local function capped(s, spreads, believed)
  if #s.prints >= 3 and spreads[REQUESTS] <= 0.02 then return false end
  if believed then return true end
  if #s.seen_calls < 3 or too_few(s, spreads) then return false end
  local low, high = math.huge, 0
  for _, seen in ipairs(s.seen_calls) do low, high = math.min(low, seen.calls), math.max(high, seen.calls) end
  return near(low, high)
end

-- The cap that refusals speak of: the middle of the last ones where they agree, else the newest.
function attribution.seen_cap(s, calls)
  local counts = values(s.seen_calls, "calls")
  local middle = #counts > 0 and math.floor(measurement.median(counts)) or calls
  return near(middle, calls) and middle or calls
end

-- A further 429 of the same epoch. Calls that were granted together arrive in any order: each refusal more was one too
-- many. Of others the one that met the fewest counts. Returns the count that this epoch speaks of by now.
function attribution.note_more(s, mark)
  local last = s.seen_calls[#s.seen_calls]
  if not last then return mark.calls end
  last.calls = mark.at == last.granted and last.calls - 1 or math.min(last.calls, mark.calls)
  return last.calls
end

-- Of the announced limits on tokens the one of which the least is left.
local function scarcest(s)
  local scarce, least_left = nil, nil
  for i = TOKENS, OUTPUT do
    local d = s.dims[i]
    local left = d.known and d.level / d.announced
    if left and (not least_left or left < least_left) then scarce, least_left = i, left end
  end
  return scarce
end

-- A label names tokens without saying how they are counted: as announced, else what repeats best.
local function of_tokens(s, spreads)
  return scarcest(s) or (#s.prints >= 4 and least(spreads, { TOKENS, RESERVED, INPUT })) or TOKENS
end

-- Without a label: a cap when the count repeats, else the best of what repeats.
local function by_prints(s, spreads, believed)
  if capped(s, spreads, believed) then return CALLS end
  if #s.prints < 3 then return REQUESTS end
  if not too_few(s, spreads) then spreads[CALLS] = measurement.spread(values(s.prints, CALLS)) + 0.004 end
  local best = least(spreads, { REQUESTS, TOKENS, RESERVED, INPUT, CALLS })
  -- Prompts of one size: requests and tokens say the same.
  if best ~= CALLS and best ~= REQUESTS and spreads[REQUESTS] <= 1.5 * spreads[best] + 0.004 then return REQUESTS end
  return best
end

-- Notes the values of this epoch: cost of each limit per second since the last, and calls in flight.
function attribution.note(s, sent, cums, mark)
  local last_seen = s.seen_calls[#s.seen_calls]
  if not last_seen or sent - last_seen.at > 0.75 * s.call_s then
    measurement.push(s.seen_calls, { at = sent, granted = mark.at, calls = mark.calls }, 3)
  end
  local last = measurement.last(s, REQUESTS)
  if not last or sent - last.at <= 0.75 * s.call_s or cums[REQUESTS] - last.cums[REQUESTS] < 6 then return end
  local print = { [CALLS] = mark.calls }
  for i = REQUESTS, INPUT do print[i] = (cums[i] - last.cums[i]) / (sent - last.at) end
  measurement.push(s.prints, print, 9)
end

-- An index of s.dims, or CALLS.
function attribution.name(s, label, calls)
  local refuted = s.by_calls and calls < 0.9 * s.call_cap -- refused well below the supposed cap: it is none
  if refuted then s.seen_calls, s.prints = {}, {} end
  if label == "req" then return REQUESTS end
  if label == "conc" then return CALLS end
  local spreads = spreads_of(s.prints)
  return label == "tok" and of_tokens(s, spreads) or by_prints(s, spreads, s.by_calls and not refuted)
end
