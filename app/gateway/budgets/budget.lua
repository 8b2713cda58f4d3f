-- Budgets: what a counter of money allows, and what becomes of it. Pure: tables in, tables changed, no clock, no Redis.
--
-- A counter is {cap = nano-dollars, open = those of calls that are not on the books yet, spent = those on the books}.
-- Without `spent` it is not seeded: nobody knows what the ledger says. While somebody reads that, `pend` takes what
-- gets on the books meanwhile. All are whole numbers below 2^53, which Lua's doubles hold exactly.
local budget = {}

-- "granted", or why not and by which counter: "unseeded", "spent" (until the period turns), "full" (until a call ends).
-- As long as something is left and nothing is open, one call is let through whatever it is worth: else the last part of
-- a budget could never be spent. So a cap is passed by no more than the calls in flight are worth.
function budget.judge(counters, amount)
  local why, which = "granted", 0
  for i, one in ipairs(counters) do
    if not one.spent then
      return "unseeded", i
    elseif one.spent >= one.cap then
      why, which = "spent", i
    elseif why ~= "spent" and one.open > 0 and one.spent + one.open + amount > one.cap then
      why, which = "full", i
    end
  end
  return why, which
end

-- A call's share of what is open becomes another: from 0 when it begins, to its cost when it ends.
function budget.change(counters, before, after)
  for _, one in ipairs(counters) do
    one.open = math.max(0, one.open - before + after)
  end
end

-- A call that held `held` stands in the ledger with `cost`.
function budget.book(counters, held, cost)
  budget.change(counters, held, 0)
  for _, one in ipairs(counters) do
    if one.spent then
      one.spent = math.max(0, one.spent + cost)
    elseif one.pend then
      one.pend = one.pend + cost
    end
  end
end

-- Somebody begins to read the ledger; `open` is what the calls hold that he leaves out of his sum.
function budget.begin(counter, open)
  counter.spent, counter.pend, counter.open = nil, 0, open
end

-- He has read it: each call that he left out has come since, or is still to come, through `book`.
function budget.seed(counter, sum)
  counter.spent, counter.pend = sum + counter.pend, nil
end

return budget
