"""Reads a job's events: those after a place in the job's own order, with the job as it stands at that moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.domain.job import Job
from app.store import rows
from app.store.database import Database

# A job's events are written under its row's lock, which is held until they are committed: their numbers come in the
# order of their commits, and no smaller one appears later. One statement, so that job and events are of one moment.
_OF_JOB = f"""
select {rows.JOB_COLUMNS}, e.id as event_id, e.seq, e.type, e.at, e.event_revision
from jobs j left join lateral (
    select id, seq, type, at, revision as event_revision from events where job_id = j.id and seq > $3
    order by seq limit $4
) e on true
where j.id = $1 and j.project_id = $2
order by e.seq
"""
_PLACE = "select seq from events where id = $1 and job_id = $2"


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One event; `place` is where it stands among its job's."""

    id: UUID
    place: int
    type: str
    at: datetime
    revision: int


@dataclass(frozen=True, slots=True)
class JobEvents:
    """A job, without payloads and earlier attempts, and some of its events in order."""

    job: Job
    events: tuple[StoredEvent, ...]


class Events:
    """The reading door for events. Every method raises StoreAway."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def place(self, job_id: UUID, event_id: UUID) -> int | None:
        """Where that event stands; None when it is not one of the job's."""
        async with self._database.connection() as connection:
            found: int | None = await connection.fetchval(_PLACE, event_id, job_id)
        return found

    async def of_job(self, project_id: UUID, job_id: UUID, after: int, limit: int) -> JobEvents | None:
        """Up to `limit` events after that place (0: from the first); None when the project has no such job."""
        async with self._database.connection() as connection:
            found = await connection.fetch(_OF_JOB, job_id, project_id, after, limit)
        if not found:
            return None
        events = [
            StoredEvent(row["event_id"], row["seq"], row["type"], row["at"], row["event_revision"])
            for row in found
            if row["event_id"] is not None
        ]
        return JobEvents(rows.job(found[0], input=None, output=None), tuple(events))
