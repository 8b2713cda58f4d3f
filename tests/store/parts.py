"""The store's doors on a real PostgreSQL, as one or several workers hold them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from app.domain import ids
from app.domain.hours import Hours
from app.domain.job import Job, JobWebhook, NewJob, Status, TraceContext
from app.jobs.body import render_body
from app.jobs.view import job_view
from app.store.announce import EventRow
from app.store.claims import Claims
from app.store.controls import Controls
from app.store.database import Database
from app.store.leaves import Leaves
from app.store.steps import Steps
from app.store.submissions import Submission, Submissions
from tests.supervise.embedded import RunningServer, open_folder, open_servers

PROJECT = UUID(int=7)
SECRET = "whsec_" + "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTMy"


@dataclass(frozen=True, slots=True)
class Worker:
    """The doors of one worker process."""

    id: UUID
    claims: Claims
    steps: Steps
    leaves: Leaves


class Store:
    """The doors that all share, and workers on the same database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.controls = Controls(database, render)
        self.submissions = Submissions(database, render)

    def worker(self, off_peak: Mapping[str, Hours] | None = None) -> Worker:
        """A new worker, and the lanes' off-peak hours that it knows."""
        worker_id = ids.uuid7()
        claims = Claims(self.database, worker_id, render, off_peak)
        return Worker(worker_id, claims, Steps(self.database), Leaves(self.database, render))

    async def submit(self, lane: str, **changes: Any) -> UUID:
        """A job of that lane, due now; `changes` are fields of NewJob."""
        job = new_job(lane, **changes)
        await self.submissions.submit(Submission(job))
        return job.id


def new_job(lane: str, **changes: Any) -> NewJob:
    """A job that is due now."""
    now = datetime.now(UTC)
    given: dict[str, Any] = {
        "id": ids.uuid7(),
        "project_id": PROJECT,
        "key_id": None,
        "workflow": "noop",
        "version": "1",
        "lane": lane,
        "priority": 5,
        "status": Status.QUEUED,
        "reason": None,
        "due_at": now,
        "input": b"{}",
        "trace": TraceContext(ids.trace_id(), ids.span_id()),
        "created_at": now,
        "expires_at": now + timedelta(days=1),
    }
    return NewJob(**{**given, **changes})


def webhook() -> JobWebhook:
    """A callback at each end."""
    ends = ("job.succeeded", "job.failed", "job.canceled", "job.expired")
    return JobWebhook("http://127.0.0.1:9/", ends, SECRET)


def render(event: EventRow, job: Job) -> bytes:
    """The body of a webhook, as the rooms above make it."""
    return render_body(event, job_view(job, ""))


@contextmanager
def running_postgres() -> Iterator[RunningServer]:
    """A PostgreSQL of its own, empty. Main thread only."""
    with open_folder() as folder:
        server = open_servers(folder, fsync=False).postgres
        server.start()
        try:
            yield server
        finally:
            server.stop()
