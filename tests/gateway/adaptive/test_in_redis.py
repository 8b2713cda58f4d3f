"""The same text inside a real server, its state packed between scripts: it decides as it does in one memory."""

from __future__ import annotations

from lupa.lua51 import LuaRuntime
from redis.asyncio import Redis

from app.gateway.pools.adaptive import SOURCE
from tests.gateway.conftest import open_redis
from tests.supervise.embedded import RunningServer

_STEPS = 400
# One step of a run with calls of all kinds: sixty or so are let go, some refused, some fail.
_STEP = """
local function step(s, n)
  s.test = s.test or { marks = {}, log = {}, now = 1.7e9, dice = 4711 }
  local t = s.test
  t.dice = (t.dice * 16807) % 2147483647
  t.now = t.now + t.dice % 1000 / 2000
  local call = { lane = n % 2, input = t.dice % 5000 + 1, output = 500 }
  local wait_s, _, mark = adaptive.ask(s, t.now, call, #t.marks)
  if mark then t.marks[#t.marks + 1] = { t.now, mark } end
  if #t.marks > 0 and t.dice % 3 > 0 then
    local ended = table.remove(t.marks, 1)
    local status = ({ 200, 200, 200, 200, 200, 429, 500 })[t.dice % 7 + 1]
    local result = { status = status, sent = ended[1], used = ended[2].input + 200 }
    adaptive.settle(s, t.now, ended[2], result, #t.marks)
  end
  if n % 5 == 0 then adaptive.beat(s, t.now, 3) end
  local view = adaptive.view(s, t.now)
  return string.format("%d %.6f %.9g %d %s", n, wait_s, view.rate_per_s or 0, view.cap, view.breaker)
end
"""
_PACKED = """
local stored = redis.call('GET', KEYS[1])
local s = stored and cmsgpack.unpack(stored) or adaptive.new(1.7e9)
if not stored then adaptive.configure(s, 1.7e9, { ceiling = 50 }) end
local said = step(s, tonumber(ARGV[1]))
redis.call('SET', KEYS[1], cmsgpack.pack(s))
return said
"""
_WHOLE = """
local said, s = {}, adaptive.new(1.7e9)
adaptive.configure(s, 1.7e9, { ceiling = 50 })
for n = 1, %d do said[n] = step(s, n) end
return table.concat(said, '\\n')
"""


async def _in_server(redis: Redis, key: str) -> list[str]:
    text = f"{SOURCE}\n{_STEP}\n{_PACKED}"
    answers = [await redis.execute_command("EVAL", text, 1, key, n) for n in range(1, _STEPS + 1)]  # type: ignore[no-untyped-call]
    return [answer.decode() for answer in answers]


async def test_packed_between_scripts_it_decides_the_same(shared_valkey: RunningServer, prefix: str) -> None:
    async with open_redis(shared_valkey.url) as redis:
        found = await _in_server(redis, f"{prefix}state")
        assert 1_000 < await redis.strlen(f"{prefix}state") < 16_000
    whole = LuaRuntime().execute(f"{SOURCE}\n{_STEP}\n{_WHOLE % _STEPS}")
    assert found == whole.split("\n")
    assert len({line.split(" ")[2] for line in found}) > 10  # the rate was learned, step by step
