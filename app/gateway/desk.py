"""The shared side of the limiter: one script for each turn of a pool's line, with a switch for when Redis is away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.domain import ids
from app.domain.clock import Clock
from app.gateway.holding import Ended
from app.gateway.pool import Lease, Pool
from app.gateway.scripts import TURN, names_key, rings
from app.gateway.waiter import Waiter
from app.telemetry.logs import log

# Bounds each round trip whatever the Redis client's own timeouts and retries are.
ROUND_TRIP_S = 2.0
# Most grants of one turn; what is left goes out in the next one, at once.
MOST_GRANTS = 128
_PROBE_S = (0.1, 2.0)
# Below it the way to Redis decides, not the wait.
_LONG_S = 1.0
_FAILURES = (RedisError, OSError, TimeoutError)
_log = log("gateway")


@dataclass(frozen=True, slots=True)
class Ask:
    """What this process tells one pool in one turn. `whole`: everything it has (1), since Redis has lost it (2)."""

    pool: Pool
    whole: int
    beat: bool
    held: Sequence[Lease]
    ended: Sequence[Ended]
    left: Sequence[Waiter]
    joined: Sequence[Waiter]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`grants` are leases of this process and their marks. The next ones may come in `wait_s` (None: after a settle).

    `unknown`: nothing was taken in, the whole must be told. `keeper`: this process is the one to come then.
    """

    unknown: bool
    wait_s: float | None = None
    reason: str = ""
    keeper: bool = False
    snapshot: bytes = b""
    grants: Sequence[tuple[str, bytes]] = ()


class Desk:
    """Asks Redis; after the first failure it is `away` until a probe has written to Redis again."""

    def __init__(self, redis: Redis, clock: Clock, prefix: str) -> None:
        self._redis = redis
        self._clock = clock
        self._prefix = prefix
        self._probe: asyncio.Task[None] | None = None
        self._number = 0
        self.process = ids.secret_base62(10)
        self.away = False
        self.on_return: Callable[[], None] = lambda: None

    def lease_id(self) -> str:
        """A new one of this process."""
        self._number += 1
        return f"{self.process}:{self._number}"

    async def exchange(self, ask: Ask, now_s: float) -> Verdict | None:
        """The verdict of Redis; None when Redis failed, and then nobody knows whether it took the ask."""
        try:
            async with asyncio.timeout(ROUND_TRIP_S):
                if ask.whole:
                    await self._redis.sadd(names_key(self._prefix), ask.pool.name)  # type: ignore[misc]
                return _verdict(await TURN.run(self._redis, self._prefix, ask.pool.name, self._arguments(ask, now_s)))
        except _FAILURES as error:
            self._leave(error)
            return None

    async def close(self) -> None:
        """Stop probing."""
        if self._probe is not None:
            self._probe.cancel()
            await asyncio.gather(self._probe, return_exceptions=True)

    def _arguments(self, ask: Ask, now_s: float) -> list[str | int | bytes]:
        held = [part for lease in ask.held for part in (lease.id, lease.expires_ms)]
        ended = [part for one in ask.ended for part in (one.id, one.mark, one.result)]
        left = [part for waiter in ask.left for part in waiter.place]
        joined = [part for waiter in ask.joined for part in _arrival(waiter, now_s)]
        return [
            self.process, ask.whole, int(ask.beat), limits_of(ask.pool), MOST_GRANTS, rings(self._prefix),
            len(ask.held), *held, len(ask.ended), *ended, len(ask.left), *left, len(ask.joined), *joined,
        ]  # fmt: skip

    def _leave(self, error: BaseException) -> None:
        if self.away:
            return
        self.away = True
        _log.warning("limiter_local", what="redis", error=type(error).__name__, detail=str(error)[:200])
        self._probe = asyncio.create_task(self._come_back())

    async def _come_back(self) -> None:
        """Probe with a write, so that a Redis that is read-only or out of memory still counts as away."""
        wait_s, longest_s = _PROBE_S
        while self.away:
            await self._clock.sleep(ids.jitter(wait_s / 2, wait_s))
            wait_s = min(longest_s, wait_s * 2)
            try:
                async with asyncio.timeout(ROUND_TRIP_S):
                    await self._redis.set(f"{self._prefix}probe", "1", px=1000)
            except _FAILURES:
                continue
            self.away = False
        _log.info("limiter_shared", what="redis")
        self.on_return()


def limits_of(pool: Pool) -> bytes:
    """What the configuration says of the pool's limits, as the rate controller takes it."""
    found = {
        "ceiling": pool.max_in_flight,
        "requests_per_minute": pool.requests_per_minute,
        "tokens_per_minute": pool.tokens_per_minute,
        "max_in_flight": pool.at_once,
    }
    return orjson.dumps({name: value for name, value in found.items() if value is not None})


def _arrival(waiter: Waiter, now_s: float) -> tuple[int, str, str, str, int, int]:
    """Who has waited for long keeps the place; of the others, who is told of first came first."""
    waited_s = now_s - waiter.since_s
    waited_ms = int(waited_s * 1000) if waited_s >= _LONG_S else 0
    return *waiter.place, waiter.lease.id, waiter.wanted.rank, waited_ms


def _verdict(answer: list[Any]) -> Verdict:
    unknown, wait_ms, reason, keeper, snapshot, *granted = answer
    return Verdict(
        unknown=bool(unknown),
        wait_s=None if wait_ms < 0 else wait_ms / 1000,
        reason=reason.decode(),
        keeper=bool(keeper),
        snapshot=snapshot,
        grants=[(lease_id.decode(), mark) for lease_id, mark in zip(granted[::2], granted[1::2], strict=True)],
    )
