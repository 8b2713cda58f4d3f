"""What a worker has besides: the parts that run jobs, ask models and deliver webhooks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import httpx

from app.clients.dialect import build_clients
from app.clients.http import open_http
from app.clients.webhook import WebhookClient
from app.gateway.budgets.prices import Prices
from app.gateway.caches.cached import Cached
from app.gateway.door import Door
from app.gateway.doorkeeper import Doorkeeper
from app.gateway.funds import Funds
from app.gateway.gateway import Gateway
from app.gateway.length_shelf import LengthShelf
from app.gateway.lengths import Lengths
from app.gateway.pools.limiter import Limiter
from app.jobs.deliver import Deliver
from app.jobs.mend import Mending
from app.jobs.progress import Progress
from app.jobs.rouse import Rouse
from app.jobs.run import Run, RunParts
from app.jobs.settle import Settle
from app.jobs.strays import Strays
from app.settings import Settings
from app.store.children import Children
from app.store.claims import Claims
from app.store.leaves import Leaves
from app.store.levers import KeptLevers
from app.store.mends import Mends
from app.store.parks import Parks
from app.store.steps import Steps
from app.telemetry.loop import end, keep_running
from app.wiring.runtime import Runtime


@dataclass(frozen=True, slots=True)
class WorkerRuntime:
    """What a worker has besides."""

    claims: Claims
    run: Run
    strays: Strays
    deliver: Deliver
    mending: Mending
    rouse: Rouse


@asynccontextmanager
async def open_worker(runtime: Runtime) -> AsyncIterator[WorkerRuntime]:
    """Open what goes out over HTTP and build the parts; closes all in reverse."""
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(open_http())
        wait_s = runtime.settings.gateway.rate_limit_wait_s
        limiter = Limiter(
            runtime.redis, runtime.clock, unnamed_wait_s=wait_s, standing=KeptLevers(runtime.database).of,
            slots=lambda lane: runtime.settings.lane(lane).slots,
        )  # fmt: skip
        stack.push_async_callback(limiter.close)
        deliver = _deliver(runtime, stack)
        parts = _parts(runtime, _door(runtime, http, limiter, await _lengths(runtime, stack)))
        run = Run(parts)
        strays = Strays(
            runtime.controls, parts.claims, run, runtime.deliveries, deliver, runtime.process_id, runtime.ring,
            runtime.wake, runtime.export,
        )  # fmt: skip
        mends = Mends(runtime.database, runtime.render)
        mending = Mending(parts, run, mends, runtime.settings.queue.mend_schedule_s)
        rouse = Rouse(
            Parks(runtime.database), Doorkeeper(limiter, runtime.breakers), runtime.ring, runtime.clock,
            runtime.settings.gateway.max_slot_wait_s, runtime.settings.queue.ring_interval_s,
        )  # fmt: skip
        yield WorkerRuntime(parts.claims, run, strays, deliver, mending, rouse)


def _deliver(runtime: Runtime, stack: AsyncExitStack) -> Deliver:
    given = runtime.settings.webhooks
    sender = WebhookClient(allow_private=given.allow_private, timeout_s=given.timeout_s, clock=runtime.clock)
    stack.push_async_callback(sender.aclose)
    deliver = Deliver(runtime.deliveries, sender, given, runtime.clock, runtime.tracing, runtime.metrics)
    runtime.file.follow(lambda new: deliver.renew(new.webhooks))
    return deliver


async def _lengths(runtime: Runtime, stack: AsyncExitStack) -> Lengths:
    """What is known of answers' lengths; kept in Redis beside the calls."""
    lengths = Lengths()
    shelf = LengthShelf(runtime.redis, lengths)
    await shelf.load()
    stack.push_async_callback(end, asyncio.create_task(keep_running("lengths", shelf.run)))
    return lengths


def _door(runtime: Runtime, http: httpx.AsyncBaseTransport, limiter: Limiter, lengths: Lengths) -> Door:
    """Built anew for each new configuration; what was learned of answers' lengths stays."""
    clock, tracing = runtime.clock, runtime.tracing

    def build(new: Settings) -> Cached:
        clients, prices = build_clients(new, http, clock), Prices(new)
        funds = Funds(runtime.money.budgets, prices, clock)
        gateway = Gateway(new, clients, limiter, prices, clock, tracing, funds, lengths)
        return Cached(gateway, runtime.cache, clock, tracing)

    door = Door(build, runtime.settings)
    runtime.file.follow(door.renew)
    return door


def _parts(runtime: Runtime, door: Door) -> RunParts:
    database, render, metrics, clock = runtime.database, runtime.render, runtime.metrics, runtime.clock
    progress = Progress(runtime.controls, runtime.wake, clock)
    first_mend_s = runtime.settings.queue.mend_schedule_s[0]
    return RunParts(
        claims=Claims(database, runtime.process_id, render, runtime.hours),
        steps=Steps(database, metrics, runtime.money.budgets.booked),
        children=Children(database, render, metrics=metrics),
        cache=runtime.cache,
        breakers=runtime.breakers,
        outputs=runtime.outputs,
        settle=Settle(Leaves(database, render), progress, metrics, clock, first_mend_s),
        progress=progress,
        catalogue=runtime.catalogue,
        gateway=door,
        heart=runtime.heart,
        ring=runtime.ring,
        wake=runtime.wake,
        clock=clock,
        tracing=runtime.tracing,
        export=runtime.export,
        metrics=metrics,
        refused_wait_s=runtime.settings.gateway.refused_wait_s,
    )
