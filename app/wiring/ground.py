"""What every part of a process stands on: its connections, its clock, its bells."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from arq.connections import ArqRedis

from app.bell.redis import open_redis
from app.bell.ring import Ring
from app.bell.wake import Wake
from app.domain import ids
from app.domain.clock import SYSTEM_CLOCK, Clock
from app.domain.job import Job
from app.jobs.body import render_body
from app.jobs.view import job_view
from app.settings import Settings
from app.store.announce import EventRow, RenderBody
from app.store.database import Database, StoreAway, open_database
from app.telemetry.metrics import Metrics
from app.telemetry.traces import Tracing, open_tracing

_START_PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class Ground:
    """Open; `settings` are those that the process started with, `lanes` those that it works on."""

    settings: Settings
    role: str
    lanes: Sequence[str]
    process_id: UUID
    base_url: str
    clock: Clock
    tracing: Tracing
    metrics: Metrics
    database: Database
    redis: ArqRedis
    ring: Ring
    wake: Wake
    render: RenderBody


@asynccontextmanager
async def open_ground(settings: Settings, role: str, lanes: Sequence[str]) -> AsyncIterator[Ground]:
    """Closed in reverse. Raises StoreAway when the database stays away."""
    async with AsyncExitStack() as stack:
        clock, tracing = SYSTEM_CLOCK, open_tracing(settings.telemetry, role)
        stack.callback(tracing.close)
        database = await _patiently_open(settings)
        stack.push_async_callback(database.close)
        redis = open_redis(settings.redis_url)
        stack.push_async_callback(redis.aclose)
        base_url = (settings.http.public_url or "").rstrip("/")
        yield Ground(
            settings=settings,
            role=role,
            lanes=lanes,
            process_id=settings.process_id or ids.uuid7(),
            base_url=base_url,
            clock=clock,
            tracing=tracing,
            metrics=_metrics(database, clock),
            database=database,
            redis=redis,
            ring=Ring(redis),
            wake=Wake(redis),
            render=_renderer(base_url),
        )


async def _patiently_open(settings: Settings) -> Database:
    """A database that is just restarting is waited for."""
    until = SYSTEM_CLOCK.monotonic() + _START_PATIENCE_S
    while True:
        try:
            return await open_database(settings.database_url, settings.pool_size)
        except StoreAway:
            if SYSTEM_CLOCK.monotonic() > until:
                raise
            await asyncio.sleep(0.25)


def _metrics(database: Database, clock: Clock) -> Metrics:
    metrics = Metrics(clock)
    for state, ask in (
        ("in_use", lambda: database.in_use),
        ("idle", lambda: database.idle),
        ("most", lambda: database.most),
    ):
        metrics.connections.watch(ask, state)
    return metrics


def _renderer(base_url: str) -> RenderBody:
    def render(event: EventRow, job: Job) -> bytes:
        return render_body(event, job_view(job, base_url))

    return render
