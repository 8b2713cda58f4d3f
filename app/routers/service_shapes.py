"""The shapes of HTTP answers about the service itself: its lanes, workers, alerts and parts."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime

from app.routers.breaker_shapes import BreakerState
from app.routers.pool_shapes import PoolBrief
from app.routers.shapes import Answer


class LaneState(Answer):
    """A lane's unfinished jobs by state and reason; those that are `due` may start, the oldest since `oldest_s`.

    `eta_s`: when a slot is free for the last of them, by what ended within the last minute; null: nothing did.
    """

    lane: str
    queued: int
    scheduled: int
    waiting: int
    running: int
    reasons: dict[str, int]
    due: int
    oldest_s: float
    eta_s: float | None
    ended_last_minute: int
    paused: bool
    workers: int
    slots: int
    slots_in_use: int


class WorkerState(Answer):
    """A live worker and when it was last heard."""

    host: str
    pid: int
    lanes: list[str]
    started_at: AwareDatetime
    beat_age_s: float


class AlertState(Answer):
    """An alert that stands: what is wrong since when; it was told of at `fired_at`."""

    key: str
    kind: str
    detail: str
    since: AwareDatetime
    fired_at: AwareDatetime


class ServiceState(Answer):
    """What the service is doing."""

    parts: dict[str, str]
    lanes: list[LaneState]
    processes: dict[str, int]
    workers: list[WorkerState]
    alerts: list[AlertState]
    pools: list[PoolBrief]
    breakers: list[BreakerState]
    provider_simulated: bool


class Live(Answer):
    """The process answers."""

    status: Literal["ok"]


class Ready(Answer):
    """Each part of the service."""

    status: Literal["ok", "degraded", "away", "draining"]
    parts: dict[str, str]


ANSWERS: tuple[type[Answer], ...] = (ServiceState, Live, Ready)
