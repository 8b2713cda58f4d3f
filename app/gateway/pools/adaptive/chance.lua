-- Chance without a source of chance: Park and Miller's generator (1988), its state in the pool's state.
local chance = {}

-- A number between 0 and 1. The same state gives the same number, so a replayed script does the same.
function chance.next(s)
  s.seed = (s.seed * 16807) % 2147483647
  return s.seed / 2147483647
end
