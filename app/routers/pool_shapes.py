"""The shapes of HTTP bodies about pools."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from app.routers.schemas import Body, Duration
from app.routers.shapes import Answer

_Count = Annotated[int | None, Field(strict=True, gt=0, le=1_000_000_000)]


class PauseBody(Body):
    """For how long."""

    for_: Annotated[Duration | None, Field(alias="for", description="Default: until it is resumed.")] = None


class LeverBody(Body):
    """Nothing to say."""


class AnnounceBody(Body):
    """Limits that hold for the pool, over all workers."""

    requests_per_minute: _Count = None
    tokens_per_minute: _Count = None
    max_in_flight: _Count = None


class BreakerBody(Body):
    """What it is to be."""

    state: Literal["open", "closed", "auto"]


class PoolLimit(Answer):
    """One limit: so many a minute, or so many calls at once. `spread`: how well measurements of it agree, 0: exactly.

    `source`: a guess is what it begins with. `binding`: it is the one that paces.
    """

    dimension: str
    per_minute: float | None
    at_once: float | None
    spread: float | None
    source: Literal["learned", "announced", "guess"]
    binding: bool


class PoolState(Answer):
    """Models of a provider that share limits. `most_in_flight` is what its latency allows now; null: not used yet.

    `reason` is what holds the next call back for a second or more, `blocked_until` until when, as things are; null:
    nothing, or nobody knows. `provider_auth` and `retry_after`: one trial an interval looks whether that still holds.
    """

    id: str
    provider: str
    models: list[str]
    state: Literal["closed", "open", "half_open", "paused", "draining"]
    reason: str | None
    blocked_until: datetime | None
    in_flight: int
    most_in_flight: float | None
    rate_per_s: float | None
    limits: list[PoolLimit]
    waiting: dict[str, int]


class PoolList(Answer):
    """All pools, by id."""

    data: list[PoolState]


class PoolBrief(Answer):
    """A pool in short."""

    id: str
    state: str
    in_flight: int


ANSWERS: tuple[type[Answer], ...] = (PoolState, PoolList)
BODIES: dict[str, type[Body]] = {
    "PoolPause": PauseBody,
    "PoolLever": LeverBody,
    "PoolAnnounce": AnnounceBody,
    "PoolBreaker": BreakerBody,
}
POOL: dict[str, Any] = {
    "id": "openai/mini",
    "provider": "openai",
    "models": ["gpt-5-mini"],
    "state": "closed",
    "reason": None,
    "blocked_until": None,
    "in_flight": 31,
    "most_in_flight": 64,
    "rate_per_s": 8.2,
    "limits": [
        {
            "dimension": "requests",
            "per_minute": 492.5,
            "at_once": None,
            "spread": 0.004,
            "source": "learned",
            "binding": True,
        }
    ],
    "waiting": {"interactive": 0, "standard": 12, "bulk": 140},
}
