"""The pools as operators see and steer them: the configured ones and those that were used; who did what is noted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from app.domain.errors import Problem
from app.domain.lane import LANES
from app.gateway.breakers.dependency import is_park
from app.gateway.calls.routes import Routes
from app.gateway.pools.levers import Levers
from app.gateway.redis.reach import RedisAway
from app.settings import Settings
from app.store.audits import Act
from app.store.database import StoreAway
from app.store.levers import KeptLevers, Value

_RETRY_S = 2
# The longest that status and metrics wait for what the pools say.
_BRIEF_S = 0.5


# Where a figure comes from, in the controller's words.
_SOURCES = {"configured": "announced", "announced": "announced", "measured": "learned"}
# What holds the next call back, in the words that jobs have for it.
_HELD_BY = {"auth": "provider_auth", "told": "retry_after", "breaker": "provider_down", "paced": "rate_limit"}
_REFUSED = "provider_auth"


@dataclass(frozen=True, slots=True)
class PoolLimit:
    """One limit: so many a minute, or so many calls at once. `spread`: how well measurements agree, 0 is exactly.

    `source` is learned, announced or a guess; `binding`: it is the one that paces.
    """

    dimension: str
    per_minute: float | None
    at_once: float | None
    spread: float | None
    source: str
    binding: bool


@dataclass(frozen=True, slots=True)
class PoolLook:
    """One pool; `known` is what the rate controller knows of it, None until somebody has used it."""

    name: str
    models: tuple[str, ...]
    known: Mapping[str, Any] | None

    @property
    def state(self) -> str:
        """What an operator did to it; open while only trials go; else its breaker's."""
        known = self.known or {}
        return str(known.get("stopped") or (known.get("shut") and "open") or known.get("breaker") or "closed")

    @property
    def reason(self) -> str | None:
        """What holds the next call back, as far as that is worth a word."""
        by = (self.known or {}).get("held_by")
        return None if by is None else _HELD_BY.get(by, str(by))

    @property
    def blocked_until(self) -> datetime | None:
        """Until when it does, as things are; None where nothing does, or nobody knows."""
        until = (self.known or {}).get("held_until")
        return None if until is None else datetime.fromtimestamp(until, UTC)

    @property
    def refused(self) -> bool:
        """Whether its provider refuses our credential."""
        return (self.known or {}).get("shut") == _REFUSED

    @property
    def in_flight(self) -> int:
        """Calls that were let go and have not ended."""
        return int((self.known or {}).get("in_flight", 0))

    @property
    def limits(self) -> list[PoolLimit]:
        """What paces it. An empty list is `{}` where Lua wrote it."""
        return [_limit(one) for one in (self.known or {}).get("limits") or ()]

    @property
    def waiting(self) -> dict[str, int]:
        """Calls in line, by lane."""
        waiting = (self.known or {}).get("waiting") or {}
        return {lane: int(waiting.get(lane, 0)) for lane in LANES}


class Pools:
    """The verbs."""

    def __init__(self, levers: Levers, settings: Callable[[], Settings], kept: KeptLevers) -> None:
        self._levers = levers
        self._settings = settings
        self._kept = kept

    async def all(self) -> list[PoolLook]:
        """By name. Raises Problem `reduced_capacity` while Redis is away, StoreAway."""
        try:
            models = await self._models()
            return [PoolLook(name, models[name], await self._levers.look(name)) for name in sorted(models)]
        except RedisAway:
            raise _away() from None

    async def brief(self) -> list[PoolLook]:
        """The same; none while Redis is away or slow: who asks how all is must not wait for one part."""
        try:
            async with asyncio.timeout(_BRIEF_S):
                return await self.all()
        except (Problem, StoreAway, TimeoutError):
            return []

    async def refused(self) -> list[str]:
        """The providers that refuse our credential."""
        return sorted({look.name.partition("/")[0] for look in await self.brief() if look.refused})

    async def steer(self, project_id: UUID, key_id: UUID, name: str, act: str, value: Value = None) -> PoolLook:
        """Move a lever of the pool and note who did. Raises Problem 404, and `reduced_capacity` while Redis is away."""
        try:
            models = await self._models()
            if name not in models:
                raise Problem("not_found", "There is no pool with this id: GET /v1/pools lists them.")
            await self._levers.steer(name, act, value)
            look = PoolLook(name, models[name], await self._levers.look(name))
        except RedisAway:
            raise _away() from None
        noted = Act(project_id, key_id, f"pools.{act}", None, 0, tags=(name, *_said(value)))
        await self._kept.move(name, act, value, noted)
        return look

    async def _models(self) -> dict[str, tuple[str, ...]]:
        """Of each pool that is configured, was used or was steered. What Redis has lost of levers it is told again."""
        steered = [name for name in await self._kept.targets() if not is_park(name)]
        for name in steered:
            if not await self._levers.knows(name):
                await self._levers.recall(name, await self._kept.of(name))
        used = {name: (name.partition("/")[2],) for name in [*steered, *await self._levers.names()]}
        return {**used, **Routes(self._settings()).pools()}


def _limit(one: Mapping[str, Any]) -> PoolLimit:
    source = _SOURCES.get(one["source"], "guess")
    return PoolLimit(
        one["dimension"], one.get("per_minute"), one.get("most"), one.get("spread"), source, bool(one["binding"])
    )


def _said(value: Value) -> tuple[str, ...]:
    """An act's value as the audit has it."""
    if value is None:
        return ()
    if isinstance(value, Mapping):
        return tuple(f"{name}={number}" for name, number in value.items())
    return (str(value),)


def _away() -> Problem:
    return Problem("reduced_capacity", "Redis, where the pools are kept, is away.", retry_after_s=_RETRY_S)
