"""Rings tickets: a ticket names a lane and nothing else, and may be lost, doubled or stale."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextvars import Context

from arq.connections import ArqRedis

from app.bell.redis import AWAY
from app.domain import ids
from app.domain.crash import crash_here
from app.telemetry.logs import log
from app.telemetry.loop import end

# Tickets beyond this are of no use: a slot goes on claiming until its lane is empty.
_MOST_TICKETS = 500

# Adds up to n tickets while fewer than the cap are waiting.
_RING = """
local room = tonumber(ARGV[2]) - redis.call('ZCARD', KEYS[1])
local n = math.min(tonumber(ARGV[1]), room)
local now = redis.call('TIME')
local ms = now[1] * 1000 + math.floor(now[2] / 1000)
for i = 1, n do
  redis.call('ZADD', KEYS[1], ms, ARGV[3] .. i)
end
return n
"""


def queue_of(lane: str) -> str:
    """The arq queue of a lane."""
    return f"laneway:queue:{lane}"


class Ring:
    """Joins the rings of one turn of the event loop into one script call for each lane; nobody waits for it."""

    def __init__(self, redis: ArqRedis) -> None:
        self._redis = redis
        self._script = redis.register_script(_RING)
        self._wanted: Counter[str] = Counter()
        self._task: asyncio.Task[None] | None = None
        self._log = log("bell")

    def ring(self, lane: str, tickets: int = 1) -> None:
        """Ask for so many slots of the lane; a Redis that is away is no error, the workers look by themselves."""
        if tickets < 1:
            return
        self._wanted[lane] += tickets
        if self._task is None or self._task.done():
            # It rings for many jobs: no log line of it may carry the ids of the one that came first.
            self._task = asyncio.get_running_loop().create_task(self._send(), context=Context())

    async def close(self) -> None:
        """Send what is still wanted, within a second; after that nothing is sent."""
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=1)
            await end(self._task)

    async def _send(self) -> None:
        while self._wanted:
            wanted, self._wanted = self._wanted, Counter()
            for lane, tickets in wanted.items():
                try:
                    await self._ring(lane, tickets)
                except AWAY as error:
                    self._log.warning("ring failed", lane=lane, error=type(error).__name__)

    async def _ring(self, lane: str, tickets: int) -> None:
        most = min(tickets, _MOST_TICKETS)
        prefix = f"{ids.uuid7().hex}-"
        await self._script(keys=[queue_of(lane)], args=[most, _MOST_TICKETS, prefix])
        crash_here("bell.rung")
