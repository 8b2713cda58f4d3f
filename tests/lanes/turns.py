"""A lane under test: jobs of several tenants go in, starts come out in their order."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from app.domain import ids
from app.domain.errors import Disposition, ErrorClass, Failure
from app.domain.hours import Hours
from app.domain.job import Claimed, Status
from app.store.claims import Claims
from app.store.database import Database
from app.store.leaves import Leave, Leaves
from app.store.submissions import Submission, Submitted
from tests.store.parts import PROJECT, Store, new_job, render

_ENDED = Failure(ErrorClass.TRANSIENT, "workflow_error", "as the test wants")
_FILL = """
with new as (
    select uuidv7() as id, uuidv7() as input_id from generate_series(1, $1)
), stored as (
    insert into payloads (id, job_id, body) select input_id, id, '{}' from new
)
insert into jobs (
    id, project_id, workflow, version, lane, priority, status, due_at, created_at, expires_at, retain_s, input_id,
    trace_id, span_id, tags, metadata, off_peak
)
select id, $2, $3, '1', $4, $5, case when $6 > 0 then 'scheduled' else 'queued' end,
    clock_timestamp() + make_interval(secs => $6), clock_timestamp(), now() + interval '1 day', 1, input_id,
    repeat('a', 32), repeat('b', 16), '[]', '{}', $7
from new
"""


class Worker:
    """One worker process's doors."""

    def __init__(self, database: Database, lane: str, hours: Mapping[str, Hours] | None = None) -> None:
        self.id = ids.uuid7()
        self.lane = lane
        self.claims = Claims(database, self.id, render, hours)
        self.leaves = Leaves(database, render)

    async def start(self) -> Claimed | None:
        """Claim the next job."""
        return await self.claims.claim(self.lane)

    async def start_all(self, most: int) -> list[Claimed]:
        """Slots that ask at once, in their order; None is left out."""
        found = await asyncio.gather(*(self.start() for _ in range(most)))
        return [job for job in found if job is not None]

    async def end(self, job: Claimed, status: Status = Status.SUCCEEDED) -> None:
        """The job ends; a failed one is a dead letter."""
        failed = status is Status.FAILED
        error, disposition = (_ENDED, Disposition.DEAD_LETTER) if failed else (None, None)
        leave = Leave(job, status, output=b"1", error=error, disposition=disposition)
        assert await self.leaves.leave(leave) is not None
        self.claims.let_go(job.id)

    async def run(self, most: int) -> list[Claimed]:
        """A single slot: start and end one job after the other."""
        done: list[Claimed] = []
        while len(done) < most and (job := await self.start()) is not None:
            await self.end(job)
            done.append(job)
        return done


class Turns:
    """A lane and what stands in it."""

    def __init__(self, database: Database, lane: str) -> None:
        self.database = database
        self.lane = lane
        self.key = f"key-{lane}"
        self.store = Store(database)

    def worker(self, hours: Mapping[str, Hours] | None = None) -> Worker:
        """A new worker process."""
        return Worker(self.database, self.lane, hours)

    async def submit(self, count: int = 1, **changes: Any) -> list[UUID]:
        """So many jobs at once; `changes` are fields of NewJob."""
        jobs = [new_job(self.lane, **changes) for _ in range(count)]
        await asyncio.gather(*(self.store.submissions.submit(Submission(job)) for job in jobs))
        return [job.id for job in jobs]

    async def submitted(self, **changes: Any) -> Submitted:
        """What the store answers to one submit."""
        return await self.store.submissions.submit(Submission(new_job(self.lane, **changes)))

    async def fill(
        self, count: int, *, workflow: str = "noop", priority: int = 5, later_s: float = 0, off_peak: bool = False
    ) -> None:
        """So many jobs in one statement."""
        await self.sql(_FILL, count, PROJECT, workflow, self.lane, priority, later_s, off_peak)

    async def sql(self, statement: str, *values: Any) -> list[Any]:
        """Rows straight from the database."""
        async with self.database.connection() as connection:
            return list(await connection.fetch(statement, *values))


def tenants(count: int) -> list[UUID]:
    """Projects."""
    return [ids.uuid7() for _ in range(count)]
