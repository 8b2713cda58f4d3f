"""Fills an outbox with due webhooks through the store's own doors, and reads what became of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from app.domain import ids
from app.domain.event import EventType
from app.domain.job import Job, JobWebhook, NewJob, Status, TraceContext
from app.jobs.body import render_body
from app.jobs.hook import derived_secret
from app.jobs.view import job_view
from app.store.announce import EventRow, Moved, announce
from app.store.database import Database
from app.store.submissions import Submission, Submissions

PROJECT = ids.uuid7()
SECRET = derived_secret("test-pepper", PROJECT)


@dataclass(frozen=True, slots=True)
class Due:
    """A job that ended and whose webhook is due."""

    job_id: UUID
    trace: TraceContext


async def due(database: Database, url: str, *, output: bytes = b'{"ok":true}') -> Due:
    """Submit a job with a callback and let it succeed; its webhook stands in the outbox, in the same transaction."""
    job = _new_job(url)
    await Submissions(database, _render).submit(Submission(job))
    async with database.transaction() as connection:
        output_id = ids.uuid7()
        await connection.execute(
            "insert into payloads (id, job_id, body) values ($1, $2, $3)", output_id, job.id, output
        )
        await connection.execute(
            "update jobs set status = 'succeeded', revision = 2, output_id = $2 where id = $1", job.id, output_id
        )
        moved = Moved(job.id, PROJECT, Status.SUCCEEDED, 2, "standard", True, EventType.JOB_SUCCEEDED)
        await announce(connection, [moved], datetime.now(UTC), _render)
    return Due(job.id, job.trace)


async def outbox(database: Database, job_id: UUID) -> asyncpg.Record:
    """The job's only delivery."""
    async with database.connection() as connection:
        row = await connection.fetchrow("select * from deliveries where job_id = $1", job_id)
    assert row is not None
    return row


async def attempts(database: Database, job_id: UUID) -> list[asyncpg.Record]:
    """What each attempt saw, in order."""
    async with database.connection() as connection:
        found: list[Any] = await connection.fetch(
            "select a.* from delivery_attempts a, deliveries d where d.id = a.delivery_id and d.job_id = $1 order by n",
            job_id,
        )
    return found


def _render(event: EventRow, job: Job) -> bytes:
    return render_body(event, job_view(job))


def _new_job(url: str) -> NewJob:
    now = datetime.now(UTC)
    return NewJob(
        id=ids.uuid7(),
        project_id=PROJECT,
        key_id=None,
        workflow="echo",
        version="1",
        lane="standard",
        priority=5,
        status=Status.QUEUED,
        reason=None,
        due_at=now,
        input=b"{}",
        trace=TraceContext(ids.trace_id(), ids.span_id()),
        created_at=now,
        expires_at=now + timedelta(days=1),
        webhook=JobWebhook(url, ("job.succeeded",), SECRET),
    )
