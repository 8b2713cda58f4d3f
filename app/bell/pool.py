"""The slots of one lane: arq's worker with a claim that waits for tickets and pops a wave of them."""

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
# How long a pop waits for a ticket; less than a command may take (SOCKET_TIMEOUT_S), with room for a slow answer.
_POP_S = 0.7
# When to look again with all slots busy, or with Redis away.
_PAUSE_S = 1.0

Serve = Callable[[], Awaitable[bool]]
"""Claims and runs one job of the lane; False when there was none."""


class LanePool(Worker):
    """Runs at most `slots` jobs of one lane at once.

    Stock arq leaves a running job in the sorted set and scans it again at each poll, four commands each, and reads and
    deletes three keys for each job. Here one command waits for tickets and pops as many as there are free slots, which
    is safe because a ticket may be lost; each starts a slot at once, since a ticket says nothing but its lane. Redis
    wakes only one of the workers that wait.
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
        self._freed = asyncio.Event()
        self._log = log("bell").bind(lane=lane)

    @property
    def free(self) -> int:
        """Slots that serve nothing now."""
        return self.max_jobs - self.job_counter if self.allow_pick_jobs else 0

    def resize(self, slots: int) -> None:
        """Have so many slots; one too many ends with the job that it serves."""
        self.max_jobs = slots
        self._freed.set()

    async def main(self) -> None:
        """Take tickets until drained. A Redis that is away is waited for."""
        while self.allow_pick_jobs:
            self._freed.clear()
            try:
                await self.record_health()
                if self.free > 0:
                    await self._take_wave()
                    continue
            except AWAY as error:
                self._log.warning("pop failed", error=type(error).__name__)
            # Not wait_for: before Python 3.12 it can swallow a cancellation that comes with the event.
            with suppress(TimeoutError):
                async with asyncio.timeout(_PAUSE_S):
                    await self._freed.wait()

    def start_slots(self, count: int) -> None:
        """Start slots without a ticket: for due work that no ticket told of."""
        for _ in range(min(count, self.free)):
            self._track(self._slot())

    async def drain(self, timeout_s: float) -> None:
        """Take no more work; wait for the running slots, then cancel what is left."""
        self.allow_pick_jobs = False
        self._freed.set()
        running = set(self.tasks.values())
        if running:
            await asyncio.wait(running, timeout=timeout_s)
        left = {task for task in running if not task.done()}
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=5)

    async def _take_wave(self) -> None:
        """Wait for tickets; who got some although it drains by now lets others have them."""
        pop: Any = self.pool.bzmpop(_POP_S, 1, [self.queue_name], min=True, count=self.free)
        popped = await pop
        tickets = len(popped[1]) if popped else 0
        if self.allow_pick_jobs:
            self.start_slots(tickets)
        elif tickets:
            self._successor()

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
        self._freed.set()

    async def _slot(self, ctx: dict[Any, Any] | None = None, *args: Any, **kwargs: Any) -> None:
        """Serve the lane until it is empty."""
        until = self.loop.time() + _SLOT_S
        while self.allow_pick_jobs and self.free >= 0 and await self._serve():
            if self.loop.time() > until:
                self._successor()
                return
