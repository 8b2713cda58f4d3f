-- Looks an entry up; where there is none, makes the asker the one who makes it, for a while.
-- KEYS: heads (hash), bodies (hash), used (sorted set: name by last use), lead (string: who makes it).
-- ARGV: name, token of the asker, lease in ms (0: only look), 1 if a stale entry will do, what keys of tags begin with,
--   how long tags are kept (ms), when an entry was made that is of no use to the asker (or ''), then the tags of an entry
--   that is to be made.
-- Returns: {'found', body, age ms, ms left (0 or less: stale), when it was made} | {'yours', a stamp for each tag}
--   | {'busy'} | {'none'}.
local heads, bodies, used, lead = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local name, token, lease, stale, prefix, keep = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4] == '1', ARGV[5], ARGV[6]
local useless = tonumber(ARGV[7])
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- An entry holds while each of its tags has the stamp that it had when the making began.
local function found()
  local head = redis.call('HGET', heads, name)
  if not head then return nil end
  local made, fresh, last, tags = unpack(cmsgpack.unpack(head))
  if now >= (stale and last or fresh) or made == useless then return nil end
  for place = 1, #tags, 2 do
    if redis.call('GET', prefix .. tags[place]) ~= tags[place + 1] then return nil end
  end
  local body = redis.call('HGET', bodies, name)
  if not body then return nil end
  redis.call('ZADD', used, 'XX', now, name)
  return { 'found', body, now - made, fresh - now, made }
end

local entry = found()
if entry then return entry end
if lease == 0 then return { 'none' } end
local holder = redis.call('GET', lead)
if holder and holder ~= token then return { 'busy' } end
redis.call('SET', lead, token, 'PX', lease)

-- A tag without a stamp gets one that no tag ever had.
local answer = { 'yours' }
for place = 8, #ARGV do
  local key = prefix .. ARGV[place]
  local stamp = redis.call('GET', key)
  if not stamp then
    stamp = clock[1] .. '.' .. clock[2] .. '.' .. token
    redis.call('SET', key, stamp, 'PX', keep)
  elseif redis.call('PTTL', key) < tonumber(keep) then
    redis.call('PEXPIRE', key, keep)
  end
  answer[#answer + 1] = stamp
end
return answer
