"""A worker process: one pool of slots for each lane it serves, start-up and drain; no logic of its own."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from uuid import UUID

from app.bell.pool import LanePool, Serve
from app.bell.wake import CANCEL
from app.domain import hangup
from app.domain.clock import Clock
from app.engine.catalogue import Catalogue
from app.settings import Settings
from app.store.database import StoreAway
from app.telemetry.logs import log
from app.telemetry.loop import end, keep_running, measure_lag
from app.wiring import Runtime, WorkerRuntime, open_runtime, open_worker

DELIVERY = "delivery"
# How long the process may take to end once it has left everything.
_THREADS_S = 1.0


async def work(settings: Settings, catalogue: Catalogue, lanes: Sequence[str]) -> None:
    """Serve the lanes until SIGTERM or SIGINT, then drain."""
    stopping = _stop_signals()
    async with open_runtime(settings, catalogue, "work", lanes) as runtime, open_worker(runtime) as parts:
        pools = [_pool(lane, runtime, parts) for lane in lanes]
        with hangup.listening(runtime.file.again, stopping.set):
            await _serve(runtime, parts, pools, stopping)
    _end_despite_threads()


def _end_despite_threads() -> None:
    """A step in a thread cannot be stopped, and Python would wait for it; its job was given back, so end without it."""
    timer = threading.Timer(_THREADS_S, os._exit, (0,))
    timer.daemon = True
    timer.start()


def _stop_signals() -> asyncio.Event:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    return stopping


def _pool(lane: str, runtime: Runtime, parts: WorkerRuntime) -> LanePool:
    async def serve() -> bool:
        return await (parts.deliver.serve() if lane == DELIVERY else parts.run.serve(lane))

    own: Serve = serve
    pool = LanePool(
        lane, runtime.settings.lane(lane).slots, own, runtime.redis, successor=lambda: runtime.ring.ring(lane)
    )
    runtime.file.follow(lambda new: pool.resize(new.lane(lane).slots))
    runtime.metrics.slots.watch(lambda: pool.max_jobs if pool.allow_pick_jobs else pool.job_counter, lane)
    runtime.metrics.slots_in_use.watch(lambda: pool.job_counter, lane)
    return pool


async def _serve(runtime: Runtime, parts: WorkerRuntime, pools: Sequence[LanePool], stopping: asyncio.Event) -> None:
    runtime.heart.on_cancel(parts.run.cancel)
    runtime.heart.on_lost(parts.run.drop_lost)
    runtime.report.tell(parts.run.doing)
    _listen(runtime, parts)
    await runtime.heart.register()
    beating = _started("heart", runtime.heart.run)
    others = [_started(f"pool {pool.lane}", pool.main) for pool in pools]
    top_up = functools.partial(_top_up, runtime, parts, pools, runtime.clock)
    others += [_started("recover", runtime.recover.run), _started("top-up", top_up)]
    others += [_started("replay", runtime.replay.run), _started("mending", parts.mending.run)]
    lag = functools.partial(measure_lag, runtime.clock, runtime.metrics.loop_lag.observe)
    others += [_started("report", runtime.report.run), _started("lag", lag)]
    others += [_started("treasury", runtime.treasury.run), _started("rouse", parts.rouse.run)]
    others += [_started("lookout", runtime.lookout.run), _started("configuration", runtime.file.run)]
    log("worker").info("serving", lanes=",".join(pool.lane for pool in pools))
    await stopping.wait()
    log("worker").info("draining")
    await asyncio.gather(*(pool.drain(runtime.settings.drain_s) for pool in pools))
    await end(*others, beating)
    await runtime.wake.close()
    await runtime.ring.close()
    with suppress(StoreAway):
        await parts.strays.give_back_all()
        await runtime.report.once()
        await runtime.workers.release(runtime.process_id)
    await runtime.workers.close()


def _started(name: str, loop: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
    return asyncio.get_running_loop().create_task(keep_running(name, loop))


def _listen(runtime: Runtime, parts: WorkerRuntime) -> None:
    runtime.wake.listen(CANCEL, lambda message: parts.run.cancel([UUID(hex=word) for word in message.split(",")]))
    runtime.wake.start(jobs=False)


async def _top_up(runtime: Runtime, parts: WorkerRuntime, pools: Sequence[LanePool], clock: Clock) -> None:
    """Each second, start slots for due work that no ticket told of: lost tickets, retries, a Redis that is away."""
    while True:
        try:
            await parts.strays.look()
            for pool in pools:
                await _top_up_lane(runtime, parts, pool)
        except StoreAway as error:
            log("worker").warning("top-up failed", error=str(error))
        await clock.sleep(runtime.settings.queue.ring_interval_s)


async def _top_up_lane(runtime: Runtime, parts: WorkerRuntime, pool: LanePool) -> None:
    if pool.free <= 0:
        return
    due = runtime.deliveries.due(pool.free) if pool.lane == DELIVERY else parts.claims.due(pool.lane, pool.free)
    pool.start_slots(await due)
