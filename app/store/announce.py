"""Events and webhook outbox, written inside the transaction that moves the job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

import asyncpg

from app.domain import ids
from app.domain.event import EventType
from app.domain.job import Job, Status
from app.store import rows
from app.store.database import Connection


@dataclass(frozen=True, slots=True)
class Moved:
    """A job that changed state in a committed transaction: whom to wake, what to ring.

    `rings` are lanes that have work by this move besides the job's own: a parent was waiting for it. `workflow` and the
    error are told where no worker made the move.
    """

    id: UUID
    project_id: UUID
    status: Status
    revision: int
    lane: str
    has_webhook: bool
    event: EventType | None = None
    rings: tuple[str, ...] = ()
    workflow: str = ""
    error_class: str | None = None
    error_code: str | None = None


@dataclass(frozen=True, slots=True)
class EventRow:
    """What the body of a webhook tells besides the job."""

    id: UUID
    type: EventType
    at: datetime
    sequence: int
    cursor: str


class RenderBody(Protocol):
    """Makes the exact bytes of a webhook; the room above hands it in, since it knows the wire form of a job."""

    def __call__(self, event: EventRow, job: Job) -> bytes: ...


_EVENTS = """
insert into events (id, project_id, job_id, type, at, revision)
select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::timestamptz[], $6::int[])
returning id, job_id, type, at, revision, xid::text || '-' || seq as cursor
"""
_HOOKED = f"""
select {rows.JOB_COLUMNS}, p.body as output, w.url, w.secret, w.events as wanted
from jobs j join job_webhooks w on w.job_id = j.id left join payloads p on p.id = j.output_id
where j.id = any($1::uuid[])
"""
_OUTBOX = """
insert into deliveries (id, event_id, job_id, project_id, type, url, secret, body, next_at)
select *, clock_timestamp()
from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::bytea[])
"""


async def announce(connection: Connection, moved: Sequence[Moved], at: datetime, render: RenderBody) -> None:
    """Write one event for each job that has one, and an outbox row for each webhook that wants it."""
    told = [move for move in moved if move.event is not None]
    if not told:
        return
    columns = [(ids.uuid7(), m.project_id, m.id, str(m.event), at, m.revision) for m in told]
    written = await connection.fetch(_EVENTS, *map(list, zip(*columns, strict=True)))
    hooked = {move.id for move in told if move.has_webhook}
    if hooked:
        await _write_outbox(connection, hooked, written, render)


async def _write_outbox(
    connection: Connection, hooked: set[UUID], events: list[asyncpg.Record], render: RenderBody
) -> None:
    found = {row["id"]: row for row in await connection.fetch(_HOOKED, list(hooked))}
    columns = []
    for event in events:
        row = found.get(event["job_id"])
        if row is not None and event["type"] in row["wanted"]:
            columns.append(_delivery(event, row, render))
    if columns:
        await connection.execute(_OUTBOX, *map(list, zip(*columns, strict=True)))


def _delivery(event: asyncpg.Record, row: asyncpg.Record, render: RenderBody) -> tuple[object, ...]:
    told = EventRow(event["id"], EventType(event["type"]), event["at"], event["revision"], event["cursor"])
    body = render(told, rows.job(row, input=None, output=row["output"]))
    return (ids.uuid7(), told.id, row["id"], row["project_id"], str(told.type), row["url"], row["secret"], body)
