"""Reads a project's events in the order of its feed: by transaction, each shown once all before it have ended."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from app.domain.job import Job
from app.store import rows
from app.store.database import Database
from app.store.events import StoredEvent
from app.store.numbers import SETTLED

_AFTER = f"""
select e.id as event_id, e.xid::text::bigint as xid, e.seq, e.type, e.at, e.revision as event_revision,
    e.job_id is null as jobless, e.data, {rows.JOB_COLUMNS}
from (
    select * from events
    where project_id = $1 and (xid, seq) > ($2::text::xid8, $3) and xid < {SETTLED}
    order by xid, seq limit $4
) e left join jobs j on j.id = e.job_id
where e.job_id is null or j.id is not null
order by e.xid, e.seq
"""
_PLACE = "select xid::text::bigint as xid, seq from events where id = $1 and project_id = $2"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an event stands in its project's feed: its transaction, and its number in it."""

    xid: int
    seq: int


START = Place(0, 0)


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """An event, and its job as it stands, without payloads and earlier attempts; `data` where it is about no job."""

    event: StoredEvent
    job: Job | None
    place: Place
    data: bytes | None = None


class Feed:
    """The reading door for feeds. Every method raises StoreAway."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def place(self, project_id: UUID, event_id: UUID) -> Place | None:
        """Where that event stands; None when it is not one of the project's."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_PLACE, event_id, project_id)
        return Place(row["xid"], row["seq"]) if row else None

    async def after(self, project_id: UUID, place: Place, limit: int) -> list[FeedEvent]:
        """Up to `limit` events after that place."""
        async with self._database.connection() as connection:
            found = await connection.fetch(_AFTER, project_id, str(place.xid), place.seq, limit)
        return [
            FeedEvent(
                StoredEvent(row["event_id"], row["seq"], row["type"], row["at"], row["event_revision"]),
                None if row["jobless"] else rows.job(row, input=None, output=None),
                Place(row["xid"], row["seq"]),
                row["data"],
            )
            for row in found
        ]
