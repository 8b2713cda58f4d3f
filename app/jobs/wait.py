"""Waits for a job on behalf of a client: subscribe first, then read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Container, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from uuid import UUID

from app.bell.wake import Wake
from app.domain.clock import Clock
from app.domain.job import Job, Reason
from app.jobs.view import tag_of
from app.store.reads import Reads

# A lost message costs at most this; without Redis the job is read this often.
_SAFETY_S = 2.0
_POLL_S = 0.1
# A job that was just read or written is not read again before it moves, or this has passed.
_SOON_S = 0.05


class Wait:
    """Holds a request until its job has moved far enough."""

    def __init__(self, reads: Reads, wake: Wake, clock: Clock) -> None:
        self._reads = reads
        self._wake = wake
        self._clock = clock
        self._held: set[asyncio.Event] = set()
        self._closed = False

    def close(self) -> None:
        """Let everyone go, with their jobs as they stand: this process is about to stop."""
        self._closed = True
        for moved in self._held:
            moved.set()

    async def for_end(self, project_id: UUID, job_id: UUID, seconds: float, known: Job | None = None) -> Job | None:
        """The job once it ended, or as it stands when the time is up or a park will surely outlast it.

        `known` is the job as it was a moment ago.
        """
        left = Countdown(self._clock, seconds)

        def enough(job: Job) -> bool:
            return job.status.terminal or self._outlasts(job, left)

        with self._wake.waiting(job_id, running=False) as moved:
            if known is not None and not enough(known):
                await _event_or_timeout(moved, min(_SOON_S, left.seconds))
            return await self._until(partial(self._reads.job, project_id, job_id), moved, left, enough)

    async def for_change(self, project_id: UUID, job_id: UUID, seconds: float, known: Container[str]) -> Job | None:
        """The job once its tag is not a known one, or as it stands when the time is up."""
        left = Countdown(self._clock, seconds)
        with self._wake.waiting(job_id) as moved:
            read = partial(self._reads.job, project_id, job_id)
            return await self._until(read, moved, left, lambda job: tag_of(job.revision) not in known)

    async def _until(
        self,
        read: Callable[[], Awaitable[Job | None]],
        moved: asyncio.Event,
        left: Countdown,
        enough: Callable[[Job], bool],
    ) -> Job | None:
        with self._holding(moved):
            while True:
                moved.clear()
                job = await read()
                if job is None or enough(job) or left.seconds <= 0 or self._closed:
                    return job
                pause = _SAFETY_S if self._wake.connected else _POLL_S
                await _event_or_timeout(moved, min(pause, left.seconds))

    @contextmanager
    def _holding(self, moved: asyncio.Event) -> Iterator[None]:
        self._held.add(moved)
        try:
            yield
        finally:
            self._held.discard(moved)

    def _outlasts(self, job: Job, left: Countdown) -> bool:
        """Whether a person or a known later time decides: then waiting on is of no use."""
        if job.reason in (Reason.REVIEW, Reason.BUDGET):
            return True
        parked = job.reason in (Reason.RUN_AT, Reason.SLEEP, Reason.RETRY, Reason.OFF_PEAK)
        return parked and (job.due_at - self._clock.now()).total_seconds() > left.seconds


class Countdown:
    """Seconds that are left of a wait."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._until = clock.monotonic() + seconds

    @property
    def seconds(self) -> float:
        """How many, negative once it is over."""
        return self._until - self._clock.monotonic()


async def _event_or_timeout(event: asyncio.Event, seconds: float) -> None:
    # Not wait_for: before Python 3.12 it can swallow a cancellation that comes with the event.
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
