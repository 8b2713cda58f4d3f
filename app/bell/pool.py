"""The slots of one lane: arq's worker with a claim that pops a wave of tickets and a poll that is woken."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from arq import func
from arq.connections import ArqRedis
from arq.worker import Worker

from app.bell.redis import AWAY
from app.bell.ring import queue_of
from app.telemetry.logs import log

# A slot that has served this long rings a successor and returns, so that no ticket lives for ever.
_SLOT_S = 60.0
_POLL_S = 1.0

Serve = Callable[[], Awaitable[bool]]
"""Claims and runs one job of the lane; False when there was none."""


class LanePool(Worker):
    """Runs at most `slots` jobs of one lane at once.

    Stock arq leaves a running job in the sorted set and scans it again at each poll, four commands each, and reads and
    deletes three keys for each job. Here a wave of tickets is popped in one command, which is safe because a ticket may
    be lost, and starts slots at once, since a ticket says nothing but its lane. A message wakes the poll; the slow poll
    is only the safety net.
    """

    def __init__(self, lane: str, slots: int, serve: Serve, redis: ArqRedis, successor: Callable[[], None]) -> None:
        super().__init__(
            functions=[func(self._slot, name="slot")],
            queue_name=queue_of(lane),
            redis_pool=redis,
            max_jobs=slots,
            handle_signals=False,
            health_check_interval=30,
        )
        self.lane = lane
        self._serve = serve
        self._successor = successor
        self._woken = asyncio.Event()
        self._log = log("bell").bind(lane=lane)

    @property
    def free(self) -> int:
        """Slots that serve nothing now."""
        return self.max_jobs - self.job_counter if self.allow_pick_jobs else 0

    def wake(self) -> None:
        """Look for tickets now."""
        self._woken.set()

    def on_wake(self, _: str) -> None:
        """The listener of the lane's channel."""
        self._woken.set()

    async def main(self) -> None:
        """Take tickets until drained. A Redis that is away is waited for."""
        while self.allow_pick_jobs:
            self._woken.clear()
            try:
                await self._take_wave()
                await self.record_health()
            except AWAY as error:
                self._log.warning("poll failed", error=type(error).__name__)
            # Not wait_for: before Python 3.12 it can swallow a cancellation that comes with the event.
            with suppress(TimeoutError):
                async with asyncio.timeout(_POLL_S):
                    await self._woken.wait()

    def start_slots(self, count: int) -> None:
        """Start slots without a ticket: for due work that no ticket told of."""
        for _ in range(min(count, self.free)):
            self._track(self._slot())

    async def drain(self, timeout_s: float) -> None:
        """Take no more work; wait for the running slots, then cancel what is left."""
        self.allow_pick_jobs = False
        self.wake()
        running = set(self.tasks.values())
        if running:
            await asyncio.wait(running, timeout=timeout_s)
        left = {task for task in running if not task.done()}
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=5)

    async def _take_wave(self) -> None:
        while self.free > 0:
            wave = await self.pool.zpopmin(self.queue_name, self.free)
            for _ in wave:
                self._track(self._slot())
            if not wave:
                return

    def _track(self, work: Any) -> None:
        self.job_counter += 1
        task = self.loop.create_task(work)
        self.tasks[str(id(task))] = task
        task.add_done_callback(functools.partial(self._ended, str(id(task))))

    def _ended(self, name: str, task: asyncio.Task[None]) -> None:
        self.job_counter -= 1
        del self.tasks[name]
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.warning("slot ended", error=type(error).__name__)
        self._woken.set()

    async def _slot(self, ctx: dict[Any, Any] | None = None, *args: Any, **kwargs: Any) -> None:
        """Serve the lane until it is empty."""
        until = self.loop.time() + _SLOT_S
        while self.allow_pick_jobs and await self._serve():
            if self.loop.time() > until:
                self._successor()
                return
