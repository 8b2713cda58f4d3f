"""Follows a job for a client that streams: durable events from the record, partial output from the bell, one `end`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from app.bell.inbox import MOVED, Inbox, Note
from app.bell.wake import Wake
from app.domain import ids
from app.domain.clock import Clock
from app.domain.job import Job, Status
from app.jobs.partial import Partial
from app.jobs.told import Told
from app.jobs.view import event_view, job_view, progress_view, thin_view
from app.store.database import StoreAway
from app.store.events import Events, JobEvents
from app.store.reads import Reads

# A lost message costs at most this; without Redis, or without the database, it is tried this often.
_SAFETY_S = 2.0
_AWAY_S = 0.5
# Events read at once.
_PORTION = 100
# The last deltas of a job that ended just now may still be on their way; its move comes right behind them.
_JUST_NOW_S = 1.0
_BEHIND_S = 0.1
# Nobody asks the worker more often to say again what was missed.
_AGAIN_S = 0.5
# So long after its submit all that a job said was heard lately.
_NEW_S = 1.5
# Then the client comes again, with a key that is still valid.
_LONGEST_S = 3600.0


@dataclass(frozen=True, slots=True)
class WatchParts:
    """What following a job takes; `base_url` begins the URLs that a client is told."""

    events: Events
    reads: Reads
    wake: Wake
    clock: Clock
    base_url: str


class Watch:
    """Follows jobs; `heartbeat_s` is the longest silence."""

    def __init__(self, parts: WatchParts, heartbeat_s: float) -> None:
        self._parts = parts
        self._heartbeat_s = heartbeat_s
        self._inboxes: set[Inbox] = set()
        self._closed = False

    def close(self) -> None:
        """Let everyone go without an `end`: this process is about to stop, another one goes on."""
        self._closed = True
        for inbox in self._inboxes:
            inbox.moved(False)

    async def follow(
        self, project_id: UUID, job_id: UUID, after: int, *, resumed: bool
    ) -> AsyncGenerator[Sequence[Told], None]:
        """What there is to tell, as it comes, from the event behind `after` (0: the first); nothing is a heartbeat.

        `resumed`: the client may have partial output from an earlier connection.
        """
        clock = self._parts.clock
        # Of a job that is older, the worker knows more than was heard of late.
        new = not resumed and clock.now().timestamp() - ids.unix_s(job_id) < _NEW_S
        with self._inbox(job_id, recent=new) as inbox:
            course = _Course(self._parts, project_id, job_id, after, resumed)
            began = spoke = clock.monotonic()
            told = await course.look(sure=False)
            if not course.over:
                self._parts.wake.catch_up(job_id)
            while True:
                if told or clock.monotonic() - spoke >= self._heartbeat_s:
                    yield told
                    spoke = clock.monotonic()
                if course.over or self._closed or spoke - began > _LONGEST_S:
                    return
                until = min(course.look_at, spoke + self._heartbeat_s)
                told = await course.heard(await inbox.take(until - clock.monotonic()))

    @contextmanager
    def _inbox(self, job_id: UUID, *, recent: bool) -> Iterator[Inbox]:
        with self._parts.wake.watching(job_id, recent=recent) as inbox:
            self._inboxes.add(inbox)
            try:
                yield inbox
            finally:
                self._inboxes.discard(inbox)


class _Course:
    """How far one client was told of one job. `look_at`: when to look at the record again, whatever is heard."""

    def __init__(self, parts: WatchParts, project_id: UUID, job_id: UUID, after: int, resumed: bool) -> None:
        self._parts = parts
        self._ids = (project_id, job_id)
        self._place = after
        self._partial = Partial(resumed)
        self._running = False
        self._progress: object = None
        self._ended_at: float | None = None
        self._asked_at = parts.clock.monotonic()
        self._connected = parts.wake.connected
        self.look_at = 0.0
        self.over = False

    async def heard(self, notes: Sequence[Note]) -> list[Told]:
        """What follows for the client from notes of the bell, or from hearing nothing for so long."""
        told: list[Told] = []
        if not self._running and any(kind != MOVED for kind, _ in notes):
            # The first piece was quicker than the news of the start.
            told += await self.look(sure=False)
        for kind, data in notes:
            if self.over:
                break
            told += await self.look(sure=data) if kind == MOVED else self._partial.told(kind, data)
        if self._partial.lacks and self._parts.clock.monotonic() >= self._asked_at + _AGAIN_S:
            self._partial.lacks, self._asked_at = False, self._parts.clock.monotonic()
            self._parts.wake.catch_up(self._ids[1])
        if not self.over and self._parts.clock.monotonic() >= self.look_at:
            told += await self.look(sure=False)
        return told

    async def look(self, *, sure: bool) -> list[Told]:
        """What the record says that the client does not know; `sure`: everything said before the end was heard."""
        connected = self._parts.wake.connected
        self._look_in(_SAFETY_S if connected else _AWAY_S)
        if connected and not self._connected:
            self._partial.lacks = True
        self._connected = connected
        try:
            found = await self._parts.events.of_job(*self._ids, self._place, _PORTION)
            if found is None:
                self.over = True
                return []
            return await self._news(found, sure)
        except StoreAway:
            self._look_in(_AWAY_S)
            return []

    async def _news(self, found: JobEvents, sure: bool) -> list[Told]:
        job, more = found.job, len(found.events) == _PORTION
        self._running = job.status is Status.RUNNING
        whole = None
        if job.status.terminal and not more:
            if not (sure or self._heard_all(job)):
                return []
            whole = await self._parts.reads.job(*self._ids)
            if whole is None or whole.revision != job.revision:
                # It was retried at this moment, or is no longer kept.
                self.over = whole is None
                self._look_in(0)
                return []
        if more:
            self._look_in(0)
        told = self._events(found)
        return [*told, self._end(whole)] if whole is not None else [*told, *self._news_of_progress(job)]

    def _events(self, found: JobEvents) -> list[Told]:
        view = thin_view(job_view(found.job, self._parts.base_url))
        told = [event_view(event, view) for event in found.events]
        self._place = found.events[-1].place if found.events else self._place
        return [Told("job", event, event["id"]) for event in told]

    def _news_of_progress(self, job: Job) -> list[Told]:
        """Only of a running job, and only what is new."""
        said = progress_view(job) if self._running else None
        if said is None or said == self._progress:
            return []
        self._progress = said
        return [Told("progress", said)]

    def _end(self, job: Job) -> Told:
        self.over = True
        return Told("end", job_view(job, self._parts.base_url))

    def _heard_all(self, job: Job) -> bool:
        """Whether the end is old enough, or the bell away; else it is looked at again in a moment."""
        now = self._parts.clock.monotonic()
        age_s = (self._parts.clock.now() - job.ended_at).total_seconds() if job.ended_at else _JUST_NOW_S
        if age_s >= _JUST_NOW_S or not self._parts.wake.connected:
            return True
        self._ended_at = self._ended_at or now
        self._look_in(_BEHIND_S)
        return now >= self._ended_at + _BEHIND_S

    def _look_in(self, seconds: float) -> None:
        self.look_at = self._parts.clock.monotonic() + seconds
