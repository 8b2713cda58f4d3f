"""Breakers of the dependencies that steps name: one for each project and name, shared by all workers through Redis."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal
from uuid import UUID

from redis.asyncio import Redis

from app.domain import ids
from app.domain.clock import SYSTEM_CLOCK, Clock
from app.domain.errors import MustWait, SystemFault
from app.domain.job import Reason
from app.gateway.breaker_away import LocalBreaker
from app.gateway.ending import Ending
from app.gateway.reach import Reach, RedisAway
from app.gateway.scripts import script, source
from app.telemetry.logs import log

PREFIX = "laneway:breaker:"
# A call waits no longer for leave to go.
_ROUND_TRIP_S = 0.5
_SCRIPT = script(source("breaker.lua", "breaker_door.lua"))
_log = log("gateway")


@dataclass(frozen=True, slots=True)
class Dependency:
    """What a breaker stands before: projects, and live and test mode, know nothing of each other's."""

    project_id: UUID
    test_mode: bool
    name: str

    @property
    def key(self) -> str:
        """Its key in Redis, without the prefix."""
        return f"{{{self.project_id.hex}}}:{'test' if self.test_mode else 'live'}:{self.name}"


@dataclass(frozen=True, slots=True)
class Pass:
    """A call may go. `sent` is the time by the breaker's clock, None where it was not Redis that let it go."""

    probe: bool
    sent: str | None


class Breakers:
    """Asked before a call, told after it. Rules: breaker.lua.

    Redis away: each process goes by the state it last heard and counts what it sees itself, by the same thresholds
    (breaker_away.py); what it learned so is forgotten when Redis is back.
    """

    def __init__(
        self, redis: Redis, clock: Clock = SYSTEM_CLOCK, prefix: str = PREFIX, slow_share: float = 1.0
    ) -> None:
        """`slow_share`: what took more than this part of its timeout is told as failed."""
        self.slow_share = slow_share
        self._reach = Reach(redis, clock, "breakers", prefix, _ROUND_TRIP_S)
        self._clock = clock
        self._prefix = prefix
        self._open: set[str] = set()
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
            state, said, wait_ms, now = await self._run(dependency, "ask", ids.jitter(0.0, 1.0))
        except RedisAway:
            return self._ask_local(dependency)
        self._heard(dependency, state)
        if said == b"wait":
            raise self._must_wait(wait_ms / 1000)
        return Pass(said == b"probe", now.decode())

    async def tell(self, dependency: Dependency, given: Pass, ending: Ending) -> bool:
        """How the call ended; whether the breaker is open now. Never fails: the call was made."""
        if given.sent is not None:
            try:
                (state,) = await self._run(dependency, "tell", int(given.probe), given.sent, ending.value)
            except (RedisAway, SystemFault):
                pass
            else:
                self._heard(dependency, state)
                return dependency.key in self._open
        local = self._breaker(dependency)
        local.tell(self._clock.monotonic(), given.probe, ending)
        return local.opened

    async def force(self, dependency: Dependency, how: Literal["open", "closed", "auto"]) -> None:
        """By hand, until `auto`. Raises RedisAway."""
        await self._run(dependency, "force", how)

    async def state(self, dependency: Dependency) -> str:
        """`closed`, `open` or `half_open`. Raises RedisAway."""
        (state,) = await self._run(dependency, "view")
        return str(state.decode())

    async def close(self) -> None:
        """Look no more whether Redis is back."""
        await self._reach.close()

    async def _run(self, dependency: Dependency, *arguments: str | int | float) -> list[Any]:
        key = self._prefix + dependency.key
        answer: list[Any] = await self._reach.ask(lambda redis: _SCRIPT.run(redis, [key], arguments))
        return answer

    def _heard(self, dependency: Dependency, state: bytes) -> None:
        """Remember it, for when Redis is away; say so in the log when it opens or closes."""
        key, is_open = dependency.key, state == b"open"
        if is_open == (key in self._open):
            return
        if is_open:
            self._open.add(key)
        else:
            self._open.discard(key)
        _log.warning("breaker", what=dependency.name, status=state.decode())

    def _ask_local(self, dependency: Dependency) -> Pass:
        local = self._breaker(dependency)
        wait_s = local.wait_s(self._clock.monotonic())
        if wait_s > 0:
            raise self._must_wait(wait_s)
        return Pass(local.opened, None)

    def _breaker(self, dependency: Dependency) -> LocalBreaker:
        found = self._local.get(dependency.key)
        if found is None:
            opened = dependency.key in self._open
            found = self._local[dependency.key] = LocalBreaker(opened, self._clock.monotonic())
        return found

    def _must_wait(self, wait_s: float) -> MustWait:
        return MustWait(Reason.PROVIDER_DOWN, self._clock.now() + timedelta(seconds=wait_s))
