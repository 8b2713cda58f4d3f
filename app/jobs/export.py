"""Tells of a job that has ended, whoever ended it: its own spans to the collector, the end to the counts."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from contextvars import Context
from datetime import datetime

from app.domain import ids
from app.domain.job import Claimed, TraceContext
from app.jobs.course import Claim, Course, OwnSpan, new_spans
from app.jobs.timeline import course_of, step_place
from app.store.announce import Moved
from app.store.reads import Reads, TraceRows
from app.telemetry import names
from app.telemetry.logs import log
from app.telemetry.metrics import Metrics
from app.telemetry.place import kind_of, place_of
from app.telemetry.traces import SpanRecord, Tracing

# Of more ends than this at once the oldest are not exported.
_MOST = 10_000
_CLOSE_S = 1.0
# One revision for the submit, one for the claim.
_CLAIMED_AT_ONCE = 2


class Export:
    """Exports job, attempts and waits. Steps, calls and webhooks are sent by who makes them, as they end.

    Nobody waits for it: what has to be read first is read one by one beside the work.
    """

    def __init__(self, reads: Reads, tracing: Tracing, metrics: Metrics) -> None:
        self._reads = reads
        self._metrics = metrics
        self._tracing = tracing
        self._wanted: deque[Moved] = deque(maxlen=_MOST)
        self._task: asyncio.Task[None] | None = None

    def ended(self, moved: Iterable[Moved]) -> None:
        """Count those of the jobs that have ended, none by its worker, and send their spans."""
        ended = [move for move in moved if move.status.terminal]
        for move in ended:
            self._metrics.ended_apart(move.workflow, move.lane, move.status, move.error_class, move.error_code)
        self._send_later(ended)

    def settled(self, job: Claimed, moved: Moved, error: str | None, now: datetime) -> None:
        """Send those of a job that its worker has just left; without reading it, when it went straight through."""
        if not moved.status.terminal or not self._tracing.exporting:
            return
        if not _straight(job):
            self._send_later([moved])
            return
        claim = Claim(job.attempt, moved.status, job.due_at, job.claimed_at, now, error=error)
        course = Course(
            job.id, job.workflow, moved.status, None, error, job.created_at, job.due_at, now, job.trace, (claim,)
        )
        self._send(course, job.version, job.lane)

    def _send_later(self, ended: Sequence[Moved]) -> None:
        """A database that is away costs these spans, and nothing else."""
        if not ended or not self._tracing.exporting:
            return
        self._wanted.extend(ended)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._read(), context=Context())

    async def close(self) -> None:
        """Send what is left, for a second at most."""
        if self._task is not None and not self._task.done():
            await asyncio.wait({self._task}, timeout=_CLOSE_S)
            self._task.cancel()

    async def _read(self) -> None:
        while self._wanted:
            move = self._wanted.popleft()
            try:
                await self._from_rows(move)
            except Exception as error:
                log("export").warning("spans lost", error=kind_of(error), exception=place_of(error))

    async def _from_rows(self, move: Moved) -> None:
        found = await self._reads.trace(move.project_id, move.id)
        if found is not None:
            self._send(course_of(found), found.job.version, found.job.lane)
            self._send_unfinished(found)

    def _send(self, course: Course, version: str, lane: str) -> None:
        common = {names.JOB_ID: ids.show("job", course.job_id)}
        whole = {**common, names.WORKFLOW: course.workflow, names.VERSION: version, names.LANE: lane}
        for span in new_spans(course):
            if span.ended_at is not None:
                self._emit(course, span, whole if span.kind == "job" else common)

    def _emit(self, course: Course, span: OwnSpan, common: dict[str, str]) -> None:
        attributes: dict[str, str | int | float | bool] = {**common, names.STATUS: span.status}
        if span.n is not None:
            attributes[names.ATTEMPT] = span.n
        place = TraceContext(course.trace.trace_id, span.id, span.parent_id)
        ended_at = span.ended_at or span.started_at
        self._tracing.emit(SpanRecord(span.kind, span.name, place, span.started_at, ended_at, attributes, span.error))

    def _send_unfinished(self, found: TraceRows) -> None:
        """Steps between two tries: nobody else will send them, and their calls hang below them."""
        for row in found.steps:
            if row["status"] != "retrying":
                continue
            place = TraceContext(found.job.trace.trace_id, row["span_id"], step_place(found.job, row))
            attributes: dict[str, str | int | float | bool] = {
                names.JOB_ID: ids.show("job", found.job.id),
                names.STEP: row["name"],
                names.TRY: row["tries"],
                names.STATUS: row["status"],
            }
            record = SpanRecord(
                "step", row["name"], place, row["started_at"], row["ended_at"], attributes, row["error_code"]
            )
            self._tracing.emit(record)


def _straight(job: Claimed) -> bool:
    """Whether it was submitted, due at once, and claimed once: no more than that is in the words of the claim."""
    return not job.resumed and job.revision == _CLAIMED_AT_ONCE and job.due_at <= job.created_at
