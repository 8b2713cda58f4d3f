"""What every process has: settings in, connections and parts out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from uuid import UUID

import httpx
from arq.connections import ArqRedis

from app.bell.ring import Ring
from app.bell.wake import Wake
from app.clients.dialect import build_clients
from app.domain.clock import Clock
from app.domain.crash import arm
from app.domain.hours import Hours
from app.engine.catalogue import Catalogue, CatalogueError
from app.engine.mention import who_names
from app.gateway.breakers.breaker import Breakers
from app.gateway.budgets.money import Money
from app.gateway.caches.cache import ExactCache
from app.gateway.redis.reach import Reach
from app.jobs.backlog import Backlog
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
from app.jobs.wait import Wait
from app.jobs.watch import Watch, WatchParts
from app.ops.access import REFUSALS_PER_MINUTE, Access
from app.ops.breakers import NamedBreakers
from app.ops.configfile import ConfigFile
from app.ops.doubts import note_doubts
from app.ops.grants import Grants
from app.ops.invalidation import Invalidation
from app.ops.lookout import Lookout
from app.ops.once import Once
from app.ops.overview import Overview
from app.ops.parts import Parts
from app.ops.pools import Pools
from app.ops.quotas import Quotas
from app.ops.report import Report
from app.ops.room import Room
from app.ops.scrape import Scrape
from app.ops.treasury import Treasury
from app.settings import ConfigurationError, Settings
from app.settings.budgets import stray_budget
from app.settings.renewal import Renewal, renewed
from app.store.announce import RenderBody
from app.store.answers import Answers
from app.store.audits import Audits
from app.store.children import Children
from app.store.controls import Controls
from app.store.database import Database
from app.store.dead_letters import DeadLetters
from app.store.deliveries import Deliveries
from app.store.events import Events
from app.store.feed import Feed
from app.store.keys import Keys
from app.store.levers import KeptLevers
from app.store.operations import Operations
from app.store.places import Places
from app.store.projects import Projects
from app.store.reads import Reads
from app.store.submissions import Submissions
from app.store.workers import Workers
from app.telemetry.metrics import Metrics
from app.telemetry.traces import Tracing
from app.wiring.ground import Ground, open_ground
from app.wiring.watching import watching

REFERENCE = "app.workflows"


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
    named_breakers: NamedBreakers
    outputs: Outputs
    invalidation: Invalidation
    once: Once
    quotas: Quotas
    refusals: Quotas
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
    arm(settings.crash_point)
    async with open_ground(settings, role, lanes) as ground, AsyncExitStack() as stack:
        runtime = _runtime(ground, catalogue)
        stack.push_async_callback(runtime.export.close)
        stack.push_async_callback(runtime.cache.close)
        stack.push_async_callback(runtime.breakers.close)
        stack.push_async_callback(runtime.money.close)
        stack.push_async_callback(runtime.quotas.close)
        stack.push_async_callback(runtime.refusals.close)
        yield runtime


def _runtime(ground: Ground, catalogue: Catalogue) -> Runtime:
    settings, clock, database, redis = ground.settings, ground.clock, ground.database, ground.redis
    ring, wake, render, base_url = ground.ring, ground.wake, ground.render, ground.base_url
    queue, pepper, heartbeat_s = settings.queue, settings.pepper.get_secret_value(), settings.http.heartbeat_s
    file, hours = _configuration(ground, catalogue)
    reads, events, feed, controls = Reads(database), Events(database), Feed(database), Controls(database, render)
    workers, deliveries = Workers(database, ground.process_id), Deliveries(database, ground.process_id)
    export = Export(reads, ground.tracing, ground.metrics)
    heart = Heart(workers, clock, role=ground.role, lanes=ground.lanes, lease_s=settings.lease_s)
    cascade = Cascade(Children(database, render), ring, wake, export).once
    money = Money(redis, database, settings, clock)
    file.follow(money.renew)
    seen = watching(ground, file, hours, money)
    overview, latency = seen.overview, Latency(reads, seen.overview.queue_s, clock)
    operations, audits = Operations(database, render, bounds(queue)), Audits(database)
    cache, backlog = ExactCache(redis, settings.cache, pepper, clock), Backlog(reads, queue, clock)
    outputs, every_s, breakers = Outputs(cache, clock), queue.ring_interval_s, _breakers(ground, file)
    keys = Keys(database)
    quotas = _quotas(ground, "quotas", settings.http.requests_per_minute)
    refusals = _quotas(ground, "refusals", REFUSALS_PER_MINUTE)
    access = Access(keys, pepper, clock, refusals)
    return Runtime(
        file=file, process_id=ground.process_id, clock=clock, database=database, redis=redis, ring=ring, wake=wake,
        tracing=ground.tracing, metrics=ground.metrics, export=export, catalogue=catalogue, hours=hours,
        access=access, grants=Grants(access, keys, Projects(database)), reads=reads, workers=workers,
        deliveries=deliveries, controls=controls, heart=heart,
        recover=Recover(database, controls, workers, deliveries, ring, wake, heart, export, cascade, clock, every_s),
        replay=Replay(DeadLetters(database), operations, audits, ring, wake, clock, every_s),
        backlog=backlog, room=Room(backlog, money.budgets, catalogue), cache=cache, breakers=breakers, outputs=outputs,
        named_breakers=NamedBreakers(breakers, KeptLevers(database)),
        invalidation=Invalidation(cache, audits, clock), once=Once(Answers(database)),
        quotas=quotas, refusals=refusals,
        submit=Submit(
            Submissions(database, render), reads, backlog, outputs, ring, wake, export, clock, hours, ground.metrics,
            money.budgets,
        ),
        wait=Wait(reads, wake, clock), events=events,
        watch=Watch(WatchParts(events, reads, wake, clock, base_url), heartbeat_s),
        feed=feed, tail=Tail(feed, clock, base_url, heartbeat_s), control=Control(controls, ring, wake, export),
        latency=latency, explain=Explain(Places(database), latency, overview.look, hours, clock), parts=seen.parts,
        overview=overview, lookout=seen.lookout, report=seen.report, scrape=seen.scrape, pools=seen.pools, money=money,
        treasury=seen.treasury, render=render, base_url=base_url,
    )  # fmt: skip


def _configuration(ground: Ground, catalogue: Catalogue) -> tuple[ConfigFile, Mapping[str, Hours]]:
    """The file, and the hours of its lanes as they are in force now."""
    file = ConfigFile(ground.settings, partial(_reload, catalogue), ground.clock)
    hours = dict(ground.settings.off_peak_hours)
    file.follow(lambda new: _put(hours, new.off_peak_hours))
    file.follow(note_doubts)
    return file, hours


def _breakers(ground: Ground, file: ConfigFile) -> Breakers:
    standing, slow_share = KeptLevers(ground.database).of, file.settings.breaker.slow_share
    breakers = Breakers(ground.redis, ground.clock, slow_share=slow_share, standing=standing)
    file.follow(lambda new: breakers.renew(new.breaker.slow_share))
    return breakers


def _quotas(ground: Ground, part: str, per_minute: int) -> Quotas:
    prefix = f"laneway:{part}:"
    return Quotas(Reach(ground.redis, ground.clock, part, prefix), ground.clock, per_minute, prefix)


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
