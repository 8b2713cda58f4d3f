"""What every process has: settings in, connections and parts out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from uuid import UUID

import httpx
from arq.connections import ArqRedis

from app.bell.redis import answer, open_redis
from app.bell.ring import Ring
from app.bell.wake import Wake
from app.clients.dialect import build_clients
from app.domain import ids
from app.domain.clock import SYSTEM_CLOCK, Clock
from app.domain.crash import arm
from app.domain.hours import Hours
from app.domain.job import Job
from app.engine.catalogue import Catalogue, CatalogueError
from app.engine.mention import who_names
from app.gateway.breaker import Breakers
from app.gateway.cache import ExactCache
from app.gateway.levers import Levers
from app.gateway.money import Money
from app.jobs.backlog import Backlog
from app.jobs.body import render_body
from app.jobs.cascade import Cascade
from app.jobs.control import Control
from app.jobs.explain import Explain
from app.jobs.export import Export
from app.jobs.heart import Heart
from app.jobs.latency import Latency
from app.jobs.outputs import Outputs
from app.jobs.recover import Recover
from app.jobs.replay import Replay, bounds
from app.jobs.submit import Submit
from app.jobs.tail import Tail
from app.jobs.view import job_view
from app.jobs.wait import Wait
from app.jobs.watch import Watch, WatchParts
from app.ops.access import Access
from app.ops.configfile import ConfigFile
from app.ops.grants import Grants
from app.ops.invalidation import Invalidation
from app.ops.lookout import Lookout
from app.ops.overview import Overview
from app.ops.parts import Parts
from app.ops.pools import Pools
from app.ops.report import Report
from app.ops.room import Room
from app.ops.scrape import Scrape
from app.ops.treasury import Treasury
from app.settings import ConfigurationError, Settings
from app.settings.budgets import stray_budget
from app.settings.renewal import Renewal, renewed
from app.store.alerts import Alerts
from app.store.announce import EventRow, RenderBody
from app.store.audits import Audits
from app.store.children import Children
from app.store.controls import Controls
from app.store.database import Database, StoreAway, open_database
from app.store.dead_letters import DeadLetters
from app.store.deliveries import Deliveries
from app.store.depth import Depth
from app.store.events import Events
from app.store.feed import Feed
from app.store.keys import Keys
from app.store.operations import Operations
from app.store.places import Places
from app.store.projects import Projects
from app.store.reads import Reads
from app.store.reports import Reports
from app.store.submissions import Submissions
from app.store.symptoms import Symptoms
from app.store.workers import Workers
from app.telemetry.metrics import Metrics
from app.telemetry.traces import Tracing, open_tracing

REFERENCE = "app.workflows"
_START_PATIENCE_S = 30.0


@dataclass(slots=True)
class Runtime:
    """What every process has; the API answers from it."""

    file: ConfigFile
    process_id: UUID
    clock: Clock
    database: Database
    redis: ArqRedis
    ring: Ring
    wake: Wake
    tracing: Tracing
    metrics: Metrics
    export: Export
    catalogue: Catalogue
    hours: Mapping[str, Hours]
    access: Access
    grants: Grants
    reads: Reads
    workers: Workers
    deliveries: Deliveries
    controls: Controls
    heart: Heart
    recover: Recover
    replay: Replay
    backlog: Backlog
    room: Room
    cache: ExactCache
    breakers: Breakers
    outputs: Outputs
    invalidation: Invalidation
    submit: Submit
    wait: Wait
    events: Events
    watch: Watch
    feed: Feed
    tail: Tail
    control: Control
    latency: Latency
    explain: Explain
    parts: Parts
    overview: Overview
    lookout: Lookout
    report: Report
    scrape: Scrape
    pools: Pools
    money: Money
    treasury: Treasury
    render: RenderBody
    base_url: str
    draining: bool = False

    @property
    def settings(self) -> Settings:
        """Those in force now."""
        return self.file.settings

    def leave(self) -> None:
        """The process was told to stop: it is ready for nothing new, and holds nobody any longer."""
        self.draining = True
        self.wait.close()
        self.watch.close()
        self.tail.close()


def load_catalogue(settings: Settings) -> Catalogue:
    """The reference workflows and the configured modules. Raises CatalogueError, WorkflowDefinitionError."""
    catalogue = Catalogue.load((REFERENCE, *settings.workflows))
    if stray := stray_budget(settings.budgets, catalogue.names()):
        raise CatalogueError(stray)
    return catalogue


@asynccontextmanager
async def open_runtime(
    settings: Settings, catalogue: Catalogue, role: str, lanes: Sequence[str] = ()
) -> AsyncIterator[Runtime]:
    """Open connections and build the parts; closes all in reverse. Raises StoreAway when the database stays away."""
    async with AsyncExitStack() as stack:
        clock = SYSTEM_CLOCK
        arm(settings.crash_point)
        tracing = open_tracing(settings.telemetry, role)
        stack.callback(tracing.close)
        database = await _patiently_open(settings)
        stack.push_async_callback(database.close)
        redis = open_redis(settings.redis_url)
        stack.push_async_callback(redis.aclose)
        runtime = _runtime(settings, catalogue, role, lanes, clock, tracing, database, redis)
        stack.push_async_callback(runtime.export.close)
        stack.push_async_callback(runtime.cache.close)
        stack.push_async_callback(runtime.breakers.close)
        stack.push_async_callback(runtime.money.close)
        yield runtime


def _runtime(
    settings: Settings, catalogue: Catalogue, role: str, lanes: Sequence[str], clock: Clock, tracing: Tracing,
    database: Database, redis: ArqRedis,
) -> Runtime:  # fmt: skip
    process_id = settings.process_id or ids.uuid7()
    base_url = (settings.http.public_url or "").rstrip("/")
    render = _renderer(base_url)
    ring, wake = Ring(redis), Wake(redis)
    reads, events, feed, controls = Reads(database), Events(database), Feed(database), Controls(database, render)
    metrics = _metrics(database, clock)
    export = Export(reads, tracing, metrics)
    workers, deliveries = Workers(database, process_id), Deliveries(database, process_id)
    heart = Heart(workers, clock, role=role, lanes=lanes, lease_s=settings.lease_s)
    cascade = Cascade(Children(database, render), ring, wake, export).once
    file, hours = ConfigFile(settings, partial(_reload, catalogue), clock), dict(settings.off_peak_hours)
    file.follow(lambda new: _put(hours, new.off_peak_hours))
    money = Money(redis, database, settings, clock)
    file.follow(money.renew)
    reports = Reports(database)
    report = Report(reports, metrics, process_id, clock, role=role, lanes=lanes, file=file)
    watching = _watching(database, redis, reports, report, file, hours, clock)
    overview = watching.overview
    latency = Latency(reads, overview.queue_s, clock)
    interval_s = settings.queue.ring_interval_s
    backlog = Backlog(reads, settings.queue, clock)
    operations = Operations(database, render, bounds(settings.queue))
    cache = ExactCache(redis, settings.cache, settings.pepper.get_secret_value(), clock)
    breakers = Breakers(redis, clock, slow_share=settings.breaker.slow_share)
    file.follow(lambda new: breakers.renew(new.breaker.slow_share))
    outputs = Outputs(cache, clock)
    keys = Keys(database)
    access = Access(keys, settings.pepper.get_secret_value(), clock)
    submit = Submit(
        Submissions(database, render), reads, backlog, outputs, ring, wake, export, clock, hours, metrics, money.budgets
    )
    return Runtime(
        file=file,
        hours=hours,
        process_id=process_id,
        clock=clock,
        database=database,
        redis=redis,
        ring=ring,
        wake=wake,
        tracing=tracing,
        metrics=metrics,
        export=export,
        catalogue=catalogue,
        access=access,
        grants=Grants(access, keys, Projects(database)),
        reads=reads,
        workers=workers,
        deliveries=deliveries,
        controls=controls,
        heart=heart,
        recover=Recover(database, controls, workers, deliveries, ring, wake, heart, export, cascade, clock, interval_s),
        replay=Replay(DeadLetters(database), operations, Audits(database), ring, wake, clock, interval_s),
        backlog=backlog,
        room=Room(backlog, money.budgets, catalogue),
        cache=cache,
        breakers=breakers,
        outputs=outputs,
        invalidation=Invalidation(cache, Audits(database), clock),
        submit=submit,
        wait=Wait(reads, wake, clock),
        events=events,
        watch=Watch(WatchParts(events, reads, wake, clock, base_url), settings.http.heartbeat_s),
        feed=feed,
        tail=Tail(feed, clock, base_url, settings.http.heartbeat_s),
        control=Control(controls, ring, wake, export),
        latency=latency,
        explain=Explain(Places(database), latency, overview.look, hours, clock),
        parts=watching.parts,
        overview=overview,
        lookout=watching.lookout,
        report=report,
        scrape=watching.scrape,
        pools=watching.pools,
        money=money,
        treasury=_treasury(money, database, ring, clock, file),
        render=render,
        base_url=base_url,
    )


@dataclass(frozen=True, slots=True)
class _Watching:
    """What looks at the whole service."""

    parts: Parts
    overview: Overview
    lookout: Lookout
    scrape: Scrape
    pools: Pools


def _watching(
    database: Database, redis: ArqRedis, reports: Reports, report: Report, file: ConfigFile, hours: Mapping[str, Hours],
    clock: Clock,
) -> _Watching:  # fmt: skip
    parts = Parts(database=database.ping, redis=lambda: answer(redis))
    overview = Overview(Depth(database), reports, clock)
    lookout = Lookout(Alerts(database), Symptoms(database), overview, parts, hours, file.settings.alerts, clock)
    file.follow(lambda new: lookout.renew(new.alerts))
    pools = Pools(Levers(redis), lambda: file.settings, Audits(database))
    scrape = Scrape(overview, reports, parts, report, lookout, file, pools)
    return _Watching(parts, overview, lookout, scrape, pools)


def _treasury(money: Money, database: Database, ring: Ring, clock: Clock, file: ConfigFile) -> Treasury:
    return Treasury(
        money.ledger, money.allowances, money.books, money.budgets, Alerts(database), ring, clock,
        lambda: file.settings.gateway.reconcile_interval_s,
    )  # fmt: skip


def _reload(catalogue: Catalogue, now: Settings) -> Renewal:
    """The configuration read again, whole or not at all: refused too where no client takes an address or a key."""
    renewal = renewed(now, partial(who_names, catalogue))
    if stray := stray_budget(renewal.settings.budgets, catalogue.names()):
        raise ConfigurationError(stray)
    build_clients(renewal.settings, httpx.AsyncBaseTransport())
    return renewal


def _put(held: dict[str, Hours], new: Mapping[str, Hours]) -> None:
    """The new hours, in what all parts hold."""
    held.clear()
    held.update(new)


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
