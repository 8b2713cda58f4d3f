"""Progress: what a running job says of itself, written at most once in two seconds, the last word in any case."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from app.bell.wake import Wake
from app.domain.clock import Clock
from app.domain.job import Claimed, Said
from app.store.controls import Controls
from app.store.database import StoreAway

_EVERY_S = 2.0


@dataclass(slots=True)
class _Talk:
    """What one claim of a job said last, and what of it is written."""

    last: Said | None = None
    written: Said | None = None
    written_at: float = float("-inf")
    task: asyncio.Task[None] | None = None
    pausing: bool = False


class Progress:
    """Keeps the last word of each claim and writes it when its time has come, at the latest when the job is left."""

    def __init__(self, controls: Controls, wake: Wake, clock: Clock) -> None:
        self._controls = controls
        self._wake = wake
        self._clock = clock
        self._talks: dict[tuple[UUID, int], _Talk] = {}

    def of(self, job: Claimed) -> Callable[[int, str | None], None]:
        """The function that notes percent and step of this claim; it never waits and never raises."""
        talk = self._talks[job.id, job.epoch] = _Talk()

        def note(percent: int, step: str | None) -> None:
            talk.last = (percent, step)
            if talk.task is None or talk.task.done():
                talk.task = asyncio.get_running_loop().create_task(self._write(job, talk))

        return note

    def last_word(self, job: Claimed) -> Said | None:
        """What the claim said last, where it may not be written yet: it goes with the write that ends the claim."""
        talk = self._talks.get((job.id, job.epoch))
        return talk.last if talk is not None and talk.last != talk.written else None

    def forget(self, job: Claimed) -> None:
        """The claim is over."""
        self._wake.forget(job.id)
        talk = self._talks.pop((job.id, job.epoch), None)
        if talk is not None and talk.task is not None and talk.pausing:
            talk.task.cancel()

    async def _write(self, job: Claimed, talk: _Talk) -> None:
        while talk.last is not None and talk.last != talk.written:
            await self._pause(talk)
            said, talk.written_at = talk.last, self._clock.monotonic()
            try:
                revision = await self._controls.progress(job.id, job.epoch, *said)
            except StoreAway:
                return
            if revision is None:
                return
            talk.written = said
            self._wake.moved([job.id], running=True)

    async def _pause(self, talk: _Talk) -> None:
        talk.pausing = True
        await self._clock.sleep(max(0.0, talk.written_at + _EVERY_S - self._clock.monotonic()))
        talk.pausing = False
