"""Breakers of the dependencies that steps name: one for each project and name, shared by all workers through Redis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Literal
from uuid import UUID

from redis.asyncio import Redis

from app.domain import ids
from app.domain.clock import SYSTEM_CLOCK, Clock
from app.domain.errors import MustWait, SystemFault
from app.domain.job import Reason
from app.domain.park import ParkedLine, Room
from app.gateway.breakers.dependency import BreakerLook, Dependency, Pass, parked_for, read_look
from app.gateway.pools.breaker_away import LocalBreaker
from app.gateway.pools.desk import Standing
from app.gateway.pools.ending import Ending
from app.gateway.pools.room import room_for
from app.gateway.redis.reach import Reach, RedisAway
from app.gateway.redis.scripts import Argument, Call, run_all, script, source
from app.store.database import StoreAway
from app.store.levers import Lever
from app.telemetry.logs import log

PREFIX = "laneway:breaker:"
Force = Literal["open", "closed", "auto"]
# A call waits no longer for leave to go.
_ROUND_TRIP_S = 1.0
# Who is to look whether a part is back is woken so long before.
_PROBE_NEAR_S = 1.0
# Of one project, the latest.
_MOST_SHOWN = 500
_SCRIPT = script(source("pools/adaptive/breaker.lua", "breakers/door.lua"))
_log = log("gateway")


class Breakers:
    """Asked before a call, told after it. Rules: breaker.lua.

    Redis away: each process goes by the state it last heard and counts what it sees itself, by the same thresholds
    (breaker_away.py), but for one that was forced, which stays so; what it learned is forgotten when Redis is back.
    """

    def __init__(
        self,
        redis: Redis,
        clock: Clock = SYSTEM_CLOCK,
        prefix: str = PREFIX,
        slow_share: float = 1.0,
        standing: Standing | None = None,
    ) -> None:
        """`slow_share`: what took more than this part of its timeout is told as failed; `standing` tells how one
        was forced, for when Redis has lost it.
        """
        self.slow_share = slow_share
        self._reach = Reach(redis, clock, "breakers", prefix, _ROUND_TRIP_S)
        self._clock = clock
        self._prefix = prefix
        self._standing = standing
        # Of those that were last heard of as open, and as forced.
        self._open: set[str] = set()
        self._forced: set[str] = set()
        self._local: dict[str, LocalBreaker] = {}
        self._reach.on_return = self._local.clear

    def renew(self, slow_share: float) -> None:
        """By another share from now on."""
        self.slow_share = slow_share

    async def ask(self, dependency: Dependency) -> Pass:
        """A pass for one call, told of in every case.

        Raises MustWait `provider_down` while the breaker is open; SystemFault.
        """
        try:
            state, said, wait_ms, now, recalled, forced = await self._run(dependency, "ask", ids.jitter(0.0, 1.0))
            if not recalled and await self._recall(dependency, asked=True):
                state, said, wait_ms, now, _, forced = await self._run(dependency, "ask", ids.jitter(0.0, 1.0))
        except RedisAway:
            return await self._ask_local(dependency)
        self._heard(dependency, state.decode(), bool(forced))
        if said == b"wait":
            raise self._must_wait(dependency, wait_ms / 1000)
        return Pass(said == b"probe", now.decode())

    async def tell(self, dependency: Dependency, given: Pass, ending: Ending) -> bool:
        """How the call ended; whether the breaker is open now. Never fails: the call was made."""
        if given.sent is not None:
            try:
                answer = await self._run(dependency, "tell", int(given.probe), given.sent, ending.value)
            except (RedisAway, SystemFault):
                pass
            else:
                look = read_look(dependency.name, answer, self._clock.now())
                self._heard(dependency, look.state, look.forced)
                return dependency.key in self._open
        local = await self._breaker(dependency)
        local.tell(self._clock.monotonic(), given.probe, ending)
        return local.opened

    async def force(self, dependency: Dependency, how: Force) -> None:
        """By hand, until `auto`. Raises RedisAway, SystemFault."""
        await self._run(dependency, "force", how)

    async def look(self, dependency: Dependency) -> BreakerLook:
        """What is known of one; one that was never asked is closed. Raises RedisAway, SystemFault."""
        return read_look(dependency.name, await self._run(dependency, "view"), self._clock.now())

    async def knows(self, dependency: Dependency) -> bool:
        """Whether any step has told of it, or any hand forced it, in the last thirty days. Raises RedisAway."""
        key, name = self._prefix + dependency.names_key, dependency.name
        return await self._reach.ask(lambda redis: redis.zscore(key, name)) is not None

    async def all(self, project_id: UUID, test_mode: bool) -> list[BreakerLook]:
        """Those of the last thirty days, by name. Raises RedisAway, SystemFault."""

        async def looks(redis: Redis) -> list[BreakerLook]:
            names_key = self._prefix + Dependency(project_id, test_mode, "").names_key
            names = sorted(name.decode() for name in await redis.zrevrange(names_key, 0, _MOST_SHOWN - 1))
            asked = [self._call(Dependency(project_id, test_mode, name), "view") for name in names]
            answers = await run_all(redis, asked) if asked else []
            now = self._clock.now()
            return [read_look(name, answer, now) for name, answer in zip(names, answers, strict=True)]

        return await self._reach.ask(looks)

    async def room(self, park: str, parked: Sequence[ParkedLine]) -> Room:
        """How many of those who wait for it (`Dependency.park`) may come now: one for the next probe, and as it closes
        a part of them, then all. Raises SystemFault.
        """
        dependency = parked_for(park)
        try:
            look = await self.look(dependency)
        except RedisAway:
            local = await self._breaker(dependency)
            probe_in_s = local.probe_in_s(self._clock.monotonic()) if local.opened else None
            share = 1.0
        else:
            self._heard(dependency, look.state, look.forced)
            next_probe_at, share = look.next_probe_at, look.share
            probe_in_s = (next_probe_at - self._clock.now()).total_seconds() if next_probe_at else None
        if probe_in_s is not None:
            return room_for(int(probe_in_s <= _PROBE_NEAR_S))
        return room_for(math.ceil(share * sum(one.asleep + one.woken for one in parked)))

    async def close(self) -> None:
        """Look no more whether Redis is back."""
        await self._reach.close()

    async def recall(self, dependency: Dependency) -> None:
        """Force it as it was, where Redis has lost that. Raises RedisAway, SystemFault."""
        if not await self.knows(dependency):
            await self._recall(dependency)

    async def _recall(self, dependency: Dependency, *, asked: bool = False) -> bool:
        """Whether it was forced, and is so again. Redis does not know, or has lost it; one that is `asked` it is told
        of in either case.
        """
        levers = await self._levers(dependency)
        if levers is None:
            return False
        for lever in levers:
            await self._run(dependency, "force", str(lever.value))
        if asked and not levers:
            await self._run(dependency, "recalled")
        return bool(levers)

    async def _levers(self, dependency: Dependency) -> Sequence[Lever] | None:
        """How it was forced, as the database has it; None where that can't be read."""
        if self._standing is None:
            return None
        try:
            return await self._standing(dependency.park)
        except StoreAway as error:
            _log.warning("levers unread", what=dependency.name, error=type(error).__name__)
            return None

    async def _run(self, dependency: Dependency, act: str, *arguments: Argument) -> list[Any]:
        call = self._call(dependency, act, *arguments)
        answer: list[Any] = await self._reach.ask(lambda redis: call.script.run(redis, call.keys, call.arguments))
        return answer

    def _call(self, dependency: Dependency, act: str, *arguments: Argument) -> Call:
        keys = (self._prefix + dependency.key, self._prefix + dependency.names_key)
        return Call(_SCRIPT, keys, (act, dependency.name, *arguments))

    def _heard(self, dependency: Dependency, state: str, forced: bool) -> None:
        """Remember it, for when Redis is away; say so in the log when it opens or closes."""
        key, is_open = dependency.key, state == "open"
        if forced:
            self._forced.add(key)
        else:
            self._forced.discard(key)
        if is_open == (key in self._open):
            return
        if is_open:
            self._open.add(key)
        else:
            self._open.discard(key)
        _log.warning("breaker", what=dependency.name, status=state)

    async def _ask_local(self, dependency: Dependency) -> Pass:
        local = await self._breaker(dependency)
        wait_s = local.wait_s(self._clock.monotonic())
        if wait_s > 0:
            raise self._must_wait(dependency, wait_s)
        return Pass(local.opened, None)

    async def _breaker(self, dependency: Dependency) -> LocalBreaker:
        """This process's own, from what was heard of it, and from the database: it may have been forced unheard."""
        key = dependency.key
        found = self._local.get(key)
        if found is None:
            for lever in await self._levers(dependency) or ():
                self._heard(dependency, str(lever.value), forced=True)
            made = LocalBreaker(key in self._open, self._clock.monotonic(), forced=key in self._forced)
            found = self._local.setdefault(key, made)
        return found

    def _must_wait(self, dependency: Dependency, wait_s: float) -> MustWait:
        until = self._clock.now() + timedelta(seconds=wait_s)
        return MustWait(Reason.PROVIDER_DOWN, until, dependency.park, breaker=dependency.name)
