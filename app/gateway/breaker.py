"""Breakers of the dependencies that steps name: one for each project and name, shared by all workers through Redis."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from importlib.resources import files
from typing import Any, Literal
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.domain import ids
from app.domain.clock import SYSTEM_CLOCK, Clock
from app.domain.errors import LanewayError, MustWait
from app.domain.job import Reason
from app.gateway.breaker_local import LocalBreaker
from app.telemetry.logs import log

PREFIX = "laneway:breaker:"
# Bounds each round trip; after one that failed nobody asks Redis for a moment.
_ROUND_TRIP_S = 0.5
_REST_S = 1.0
_FAILURES = (RedisError, OSError, TimeoutError)
_TEXT = "\n".join(
    files("app.gateway").joinpath(part).read_text("utf-8") for part in ("breaker.lua", "breaker_door.lua")
)
_log = log("gateway")


class Ending(StrEnum):
    """How a call ended, as a breaker counts it; `other` (a limit, a wrong input) says no more than that it is there."""

    OK = "ok"
    FAILED = "failed"
    REFUSED = "refused"
    OTHER = "other"


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


class BreakerAway(LanewayError):
    """Redis can't be asked now."""


class Breakers:
    """Asked before a call, told after it. Rules: breaker.lua.

    Redis away: each process goes by the state it last heard and counts what it sees itself, by the same thresholds
    (breaker_local.py); what it learned so is forgotten when Redis is back.
    """

    def __init__(self, redis: Redis, clock: Clock = SYSTEM_CLOCK, prefix: str = PREFIX) -> None:
        self._script = redis.register_script(_TEXT)
        self._clock = clock
        self._prefix = prefix
        self._rests_until_s = 0.0
        self._open: set[str] = set()
        self._alone: dict[str, LocalBreaker] = {}

    async def ask(self, dependency: Dependency) -> Pass:
        """A pass for one call, told of in every case. Raises MustWait `provider_down` while the breaker is open."""
        try:
            state, said, wait_ms, now = await self._run(dependency, "ask", ids.jitter(0.0, 1.0))
        except BreakerAway:
            return self._ask_alone(dependency)
        self._heard(dependency, state)
        if said == b"wait":
            raise self._must_wait(wait_ms / 1000)
        return Pass(said == b"probe", now.decode())

    async def tell(self, dependency: Dependency, given: Pass, ending: Ending) -> bool:
        """How the call ended; whether the breaker is open now."""
        if given.sent is not None:
            try:
                (state,) = await self._run(dependency, "tell", int(given.probe), given.sent, ending.value)
            except BreakerAway:
                pass
            else:
                self._heard(dependency, state)
                return dependency.key in self._open
        failed = ending in (Ending.FAILED, Ending.REFUSED)
        alone = self._breaker_alone(dependency)
        alone.tell(self._clock.monotonic(), given.probe, failed, ending is Ending.REFUSED)
        return alone.opened

    async def force(self, dependency: Dependency, how: Literal["open", "closed", "auto"]) -> None:
        """By hand, until `auto`. Raises BreakerAway."""
        await self._run(dependency, "force", how)

    async def state(self, dependency: Dependency) -> str:
        """`closed`, `open` or `half_open`. Raises BreakerAway."""
        (state,) = await self._run(dependency, "view")
        return str(state.decode())

    async def _run(self, dependency: Dependency, *arguments: Any) -> list[Any]:
        if self._clock.monotonic() < self._rests_until_s:
            raise BreakerAway
        try:
            async with asyncio.timeout(_ROUND_TRIP_S):
                answer: list[Any] = await self._script([self._prefix + dependency.key], arguments)
        except _FAILURES as error:
            self._rests_until_s = self._clock.monotonic() + _REST_S
            _log.warning("breaker_local", what="redis", error=type(error).__name__)
            raise BreakerAway from error
        self._alone.clear()
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

    def _ask_alone(self, dependency: Dependency) -> Pass:
        alone = self._breaker_alone(dependency)
        wait_s = alone.wait_s(self._clock.monotonic())
        if wait_s > 0:
            raise self._must_wait(wait_s)
        return Pass(alone.opened, None)

    def _breaker_alone(self, dependency: Dependency) -> LocalBreaker:
        found = self._alone.get(dependency.key)
        if found is None:
            opened = dependency.key in self._open
            found = self._alone[dependency.key] = LocalBreaker(opened, self._clock.monotonic())
        return found

    def _must_wait(self, wait_s: float) -> MustWait:
        return MustWait(Reason.PROVIDER_DOWN, self._clock.now() + timedelta(seconds=wait_s))
