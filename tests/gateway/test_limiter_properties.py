"""Any schedule of callers over several processes: never above the cap, never a lease left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from app.domain.errors import MustWait
from app.gateway.pools.limiter import Limiter
from tests.gateway.admitting import GOOD, admit, leases, wide
from tests.gateway.conftest import open_redis
from tests.gateway.pool_state import waiting
from tests.supervise.embedded import RunningServer

_examples = count()


@dataclass(frozen=True, slots=True)
class Caller:
    """When it comes, how long it holds, when it is canceled (None: never); ticks are passes of the event loop."""

    process: int
    lane: str
    starts_ms: int
    holds_ms: int
    canceled_after_ticks: int | None
    learns: bool


_CALLERS = st.lists(
    st.builds(
        Caller,
        process=st.integers(0, 2),
        lane=st.sampled_from(["interactive", "standard", "bulk"]),
        starts_ms=st.integers(0, 8),
        holds_ms=st.integers(0, 6),
        canceled_after_ticks=st.none() | st.integers(0, 20),
        learns=st.booleans(),
    ),
    min_size=1,
    max_size=40,
)


class _Scene:
    """Runs callers against limiters that share a pool, and watches how many hold a permit."""

    def __init__(self, limiters: Sequence[Limiter], cap: int) -> None:
        self._limiters = limiters
        self._pool = wide(cap)
        self._in_use = 0
        self.most = 0
        self.served = 0

    async def run(self, callers: Sequence[Caller]) -> None:
        tasks = [asyncio.create_task(self._call(caller)) for caller in callers]
        cancels = [asyncio.create_task(_cancel(task, caller)) for task, caller in zip(tasks, callers, strict=True)]
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            assert result is None or isinstance(result, asyncio.CancelledError | MustWait)
        await asyncio.gather(*cancels)

    async def _call(self, caller: Caller) -> None:
        limiter = self._limiters[caller.process]
        await asyncio.sleep(caller.starts_ms / 1000)
        permit = await admit(limiter, self._pool, caller.lane, project=str(caller.holds_ms % 3))
        self._in_use += 1
        self.most = max(self.most, self._in_use)
        try:
            await asyncio.sleep(caller.holds_ms / 1000)
            self.served += 1
        finally:
            self._in_use -= 1
            limiter.settle(permit, GOOD if caller.learns else None)


async def _cancel(task: asyncio.Task[None], caller: Caller) -> None:
    if caller.canceled_after_ticks is not None:
        await asyncio.sleep(caller.starts_ms / 1000)
        for _ in range(caller.canceled_after_ticks):
            await asyncio.sleep(0)
        task.cancel()


async def _left(redis: Redis, prefix: str) -> tuple[int, int]:
    """The leases that Redis still holds, and who stands in its line."""
    return await leases(redis, prefix), await waiting(redis, prefix)


@settings(max_examples=60, deadline=None)
@given(callers=_CALLERS, cap=st.integers(1, 6))
def test_never_above_the_cap_and_nothing_left(shared_valkey: RunningServer, callers: list[Caller], cap: int) -> None:
    async def example() -> None:
        prefix = f"property{next(_examples)}:"
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(open_redis(shared_valkey.url)) for _ in range(3)]
            limiters = [Limiter(client, prefix=prefix) for client in clients]
            scene = _Scene(limiters, cap)
            await scene.run(callers)
            for limiter in limiters:
                await limiter.close()
            assert scene.most <= cap
            assert scene.served >= sum(caller.canceled_after_ticks is None for caller in callers)
            assert await _left(clients[0], prefix) == (0, 0)

    asyncio.run(example())
