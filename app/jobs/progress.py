"""Progress: what a running job says of itself, written at most once in two seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from app.bell.wake import Wake
from app.domain.clock import Clock
from app.domain.job import Claimed
from app.store.controls import Controls
from app.store.database import StoreAway

_EVERY_S = 2.0


class Progress:
    """Keeps the last word of each job and writes it when its time has come."""

    def __init__(self, controls: Controls, wake: Wake, clock: Clock) -> None:
        self._controls = controls
        self._wake = wake
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()

    def of(self, job: Claimed) -> Callable[[int, str | None], None]:
        """The function that notes percent and step of this job; it never waits and never raises."""
        written_at = float("-inf")

        def note(percent: int, step: str | None) -> None:
            nonlocal written_at
            now = self._clock.monotonic()
            if now - written_at >= _EVERY_S:
                written_at = now
                task = asyncio.get_running_loop().create_task(self._write(job, percent, step))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

        return note

    async def _write(self, job: Claimed, percent: int, step: str | None) -> None:
        try:
            if await self._controls.progress(job.id, job.epoch, percent, step) is not None:
                self._wake.moved([job.id])
        except StoreAway:
            return
