-- How many parked jobs the pool can take: its line shall hold what goes within some seconds, and no more.
-- ARGV: those seconds; then of each tenant with parked jobs: lane, rank, tenant, how many.
-- Returns: calls that may go, or nothing where nobody has used the pool; how many of them are bulk in any case; waiting
-- of ranks 0, 1 and 2; then of each tenant with calls in line or a share of late: lane, tenant, waiting there of rank 1,
-- waiting, what it has had.
local within_s = tonumber(ARGV[1])
local pool, now = open(false)
if not pool then return {} end
open_line(pool, now)

local function hear()
  local told = { at = now, [0] = {}, [1] = {}, standard = {} }
  for i = 2, #ARGV, 4 do
    local lane, rank, tenant, count = tonumber(ARGV[i]), ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 3])
    told[lane][tenant] = (told[lane][tenant] or 0) + count
    if lane == 1 and count > 0 then adaptive.parked(pool.core, now) end
    if rank == '1' then told.standard[tenant] = count end
  end
  return told
end

pool.parked = hear()
local flying = in_flight(now)
close(pool)
local answer = { 0, 0, 0, 0, 0 }
for lane = 0, 1 do
  for tenant, one in pairs(pool.lines[lane + 1]) do
    local standard = lane == 1 and redis.call('ZCOUNT', queue(1, tenant), RANK, '(' .. 2 * RANK) or 0
    answer[3 + lane] = answer[3 + lane] + (lane == 0 and one.waiting or standard)
    if lane == 1 then answer[5] = answer[5] + one.waiting - standard end
    for _, part in ipairs({ lane, tenant, standard, one.waiting, string.format('%.17g', one.vt) }) do
      answer[#answer + 1] = part
    end
  end
end
local goes, owed = adaptive.room(pool.core, now, flying, within_s)
answer[1], answer[2] = goes, owed or 0
return answer
