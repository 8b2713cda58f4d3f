"""The shared side of the limiter: one script for each turn of a pool's line."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from redis.asyncio import Redis

from app.domain import ids
from app.domain.clock import Clock
from app.domain.errors import SystemFault
from app.domain.park import ParkedLine, Room
from app.gateway.pools.holding import Ended
from app.gateway.pools.levers import is_known, move_again
from app.gateway.pools.pool import Lease, Pool
from app.gateway.pools.room import as_arguments, told_room
from app.gateway.pools.scripts import ROOM, TURN, names_key, pool_keys, rings
from app.gateway.pools.waiter import Waiter
from app.gateway.redis.reach import Reach, RedisAway
from app.store.database import StoreAway
from app.store.levers import Lever
from app.telemetry.logs import log

# Most grants of one turn; what is left goes out in the next one, at once.
MOST_GRANTS = 128
# Below it the way to Redis decides, not the wait; above it nobody goes further ahead.
_LONG_S, _LONGEST_S = 1.0, 86400.0
# The database tells within so long what stands.
_STANDING_S = 5.0
# The levers of operators that stand for a pool, as the database has them.
Standing = Callable[[str], Awaitable[Sequence[Lever]]]
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
    `sent_away`: waiters for whom the line is too long, and how many seconds it is.
    """

    unknown: bool
    wait_s: float | None = None
    reason: str = ""
    keeper: bool = False
    snapshot: bytes = b""
    sent_away: Sequence[tuple[str, float]] = ()
    grants: Sequence[tuple[str, bytes]] = ()


class Desk:
    """Asks Redis, unless it is `away`; `on_return` is called when it is back.

    A pool that Redis does not know is told first of the levers that are `standing`.
    """

    def __init__(
        self, redis: Redis, clock: Clock, prefix: str, on_return: Callable[[], None], standing: Standing | None = None
    ) -> None:
        self._reach = Reach(redis, clock, "limiter", prefix)
        self._reach.on_return = on_return
        self._prefix = prefix
        self._standing = standing
        self._number = 0
        self.process = ids.secret_base62(10)

    @property
    def away(self) -> bool:
        """Whether Redis is away."""
        return self._reach.away

    def lease_id(self) -> str:
        """A new one of this process."""
        self._number += 1
        return f"{self.process}:{self._number}"

    async def exchange(self, ask: Ask, now_s: float) -> Verdict | None:
        """The verdict of Redis; None when it went away, and then nobody knows whether it took the ask.

        Raises SystemFault.
        """

        async def turn(redis: Redis) -> Verdict:
            if ask.whole:
                await redis.sadd(names_key(self._prefix), ask.pool.name)  # type: ignore[misc]
            return _verdict(await TURN.run(redis, pool_keys(self._prefix, ask.pool.name), self._arguments(ask, now_s)))

        try:
            if ask.whole and self._standing is not None:
                await self._recall(ask.pool.name, self._standing)
            return await self._reach.ask(turn)
        except RedisAway:
            return None

    async def room(self, pool: str, parked: Sequence[ParkedLine], within_s: float) -> Room | None:
        """What is free of the pool's line, as Redis has it; None when it is away. Raises SystemFault."""

        async def look(redis: Redis) -> Room:
            return told_room(await ROOM.run(redis, pool_keys(self._prefix, pool), [within_s, *as_arguments(parked)]))

        try:
            return await self._reach.ask(look)
        except RedisAway:
            return None

    async def _recall(self, name: str, standing: Standing) -> None:
        """What an operator has stopped stays so, though Redis was emptied. Raises RedisAway, SystemFault."""
        if await self._reach.ask(lambda redis: is_known(redis, self._prefix, name)):
            return
        try:
            async with asyncio.timeout(_STANDING_S):
                levers = await standing(name)
        except (StoreAway, TimeoutError) as error:
            # Nothing that is called now could be recorded; and it may have been stopped.
            _log.warning("levers unread", what=name, error=type(error).__name__)
            raise SystemFault("the database, which knows what operators have stopped, can't be read") from error
        if levers:
            await self._reach.ask(lambda redis: move_again(redis, self._prefix, name, levers))
            _log.warning("levers moved again", what=name, count=len(levers))

    async def close(self) -> None:
        """Look no more whether Redis is back."""
        await self._reach.close()

    def _arguments(self, ask: Ask, now_s: float) -> list[str | int | bytes]:
        held = [part for lease in ask.held for part in (lease.id, lease.expires_ms)]
        ended = [part for one in ask.ended for part in (one.id, one.mark, one.result, one.age_ms(now_s))]
        left = [part for waiter in ask.left for part in waiter.place]
        joined = [part for waiter in ask.joined for part in _arrival(waiter, now_s)]
        return [
            self.process, ask.whole, int(ask.beat), limits_of(ask.pool), MOST_GRANTS, rings(self._prefix),
            len(ask.held), *held, len(ask.ended), *ended, len(ask.left), *left, len(ask.joined), *joined,
        ]  # fmt: skip


def limits_of(pool: Pool) -> bytes:
    """What the configuration says of the pool's limits, as the rate controller takes it."""
    found = {
        "ceiling": pool.max_in_flight,
        "requests_per_minute": pool.requests_per_minute,
        "tokens_per_minute": pool.tokens_per_minute,
        "max_in_flight": pool.at_once,
        "credential": pool.credential,
        "window": None if pool.window == "refill" else pool.window,
    }
    return orjson.dumps({name: value for name, value in found.items() if value is not None})


def _arrival(waiter: Waiter, now_s: float) -> tuple[int | str, ...]:
    """Who has waited for long keeps the place; of the others, who is told of first came first."""
    waited_s = now_s - waiter.since_s
    waited_ms = int(min(waited_s, _LONGEST_S) * 1000) if waited_s >= _LONG_S else 0
    wanted = waiter.wanted
    patience_ms = int(wanted.max_wait_s * 1000)
    return *waiter.place, waiter.lease.id, wanted.rank, waited_ms, patience_ms, int(wanted.again)


def _verdict(answer: list[Any]) -> Verdict:
    unknown, wait_ms, reason, keeper, snapshot, sent_away, *granted = answer
    return Verdict(
        unknown=bool(unknown),
        wait_s=None if wait_ms < 0 else wait_ms / 1000,
        reason=reason.decode(),
        keeper=bool(keeper),
        snapshot=snapshot,
        sent_away=[(one.decode(), ms / 1000) for one, ms in zip(sent_away[::2], sent_away[1::2], strict=True)],
        grants=[(lease_id.decode(), mark) for lease_id, mark in zip(granted[::2], granted[1::2], strict=True)],
    )
