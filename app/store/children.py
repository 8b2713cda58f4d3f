"""Children: starts a spawn's under the parent's fence, reads how they ended, cancels those of lost parents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from app.domain import ids
from app.domain.clock import SYSTEM_CLOCK
from app.domain.errors import Failure
from app.domain.job import Claimed, Status
from app.store import families, rows
from app.store.announce import Moved, RenderBody, announce
from app.store.controls import CANCEL, FLAG, moved_of, queue_again
from app.store.database import Connection, Database
from app.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True)
class SpawnRow:
    """How far a spawn is: `started` children exist, `open` of them have not ended; `reviving`: canceled ones go on."""

    id: UUID
    started: int
    open: int
    reviving: bool

    def child(self, place: int) -> UUID:
        """The id of the child with that place."""
        return ids.derived_uuid7(self.id, place)


@dataclass(frozen=True, slots=True)
class ChildrenOf:
    """What the children of one spawn have in common, besides what they have from their parent."""

    workflow: str
    version: str
    lane: str
    retain_s: float
    max_cost_nanos: int | None
    parent_span_id: str


@dataclass(frozen=True, slots=True)
class ChildRow:
    """A child as it stands; `output` is canonical JSON bytes."""

    id: UUID
    status: Status
    output: bytes | None
    error: Failure | None


@dataclass(frozen=True, slots=True)
class Swept:
    """Children that followed their lost parent: those that ended, and the running ones that were told."""

    moved: list[Moved]
    told: list[UUID]


# FOR SHARE holds off recover, cancel and park of the parent until this commits.
_FENCE = "select id from jobs where id = $1 and epoch = $2 and status = 'running' for share"
_SPAWN = """
select id, digest, started, open, reviving from spawns where parent_id = $1 and name = $2 and key = $3 and not retired
"""
_NEW_SPAWN = "insert into spawns (id, parent_id, name, key, digest) values ($1, $2, $3, $4, $5)"
_RETIRE = "update spawns set retired = true, canceling = open > 0, swept = 0 where id = $1"
_START = """
with given as (
    select * from unnest($2::uuid[], $3::int[], $4::uuid[], $5::bytea[], $6::text[], $7::uuid[])
        as g (id, place, input_id, body, span_id, event_id)
), made as (
    insert into jobs (
        id, project_id, key_id, workflow, version, lane, priority, status, due_at, created_at, expires_at, retain_s,
        finish_by, expire_by, input_id, max_cost_nanos, trace_id, span_id, parent_span_id, tags, metadata, test_mode,
        simulated, parent_id, spawn_id, spawn_index
    )
    select g.id, p.project_id, p.key_id, $8::text, $9::text, $10::text, p.priority, 'queued',
        now() - make_interval(secs => 1e-6 * (cardinality($2) - row_number() over (order by g.place))), now(),
        now() + make_interval(secs => $11::float8), $11::float8, p.finish_by, p.finish_by, g.input_id, $12::bigint,
        p.trace_id, g.span_id, $13::text, '[]'::jsonb, '{}'::jsonb, p.test_mode, p.simulated, p.id, $14::uuid, g.place
    from given g, jobs p where p.id = $1
    on conflict (id) do nothing
    returning id, project_id, input_id
), stored as (
    insert into payloads (id, job_id, body) select m.input_id, m.id, g.body from made m join given g on g.id = m.id
), told as (
    insert into events (id, project_id, job_id, type, at, revision)
    select g.event_id, m.project_id, m.id, 'job.submitted', now(), 1 from made m join given g on g.id = m.id
)
select count(*) from made
"""
_STARTED = """
update spawns set started = greatest(started, $2), open = open + $3, awaited = true where id = $1
returning id, started, open, reviving
"""
_ENDS = """
select j.id, j.status, j.error_class, j.error_code, j.error_detail, j.error_step, o.body
from jobs j left join payloads o on o.id = j.output_id where j.id = any($1::uuid[])
"""
_READ = "update spawns set awaited = false where id = $1"
_CANCELED = "select id from jobs where id = any($1::uuid[]) and status = 'canceled'"
_REVIVED = """
update jobs j set finish_by = p.finish_by, expire_by = p.finish_by from jobs p
where j.id = any($1::uuid[]) and p.id = j.parent_id
"""
_REVIVING = "update spawns set reviving = $2 where id = $1"
# One process sweeps at a time; any number that no other lock has.
_SWEEPER = "select pg_try_advisory_xact_lock(7203611904)"
_CANCELING = "select id, started, swept, open, reviving from spawns where canceling order by id limit 1"
# Asked again once the parent is locked: it may have been retried.
_STILL = "select canceling from spawns where id = $1"
_SWEPT = "update spawns set swept = $2, canceling = canceling and $2 < started where id = $1"
_WITH_PARENT = "Canceled with its parent."
# Spawns that nobody will ask for again: retired, or read and recorded in the parent's step.
_FORGET = """
delete from spawns where id in (
    select s.id from spawns s
    where (s.retired or not s.awaited) and s.open = 0 and not s.canceling and (s.retired or exists (
        select from steps t
        where t.job_id = s.parent_id and t.name = s.name and t.key = s.key and t.status = 'succeeded'
    ))
    limit 1000
)
"""


class Children:
    """The door for jobs that start jobs. The writes of a parent answer None when its fence refuses."""

    def __init__(
        self, database: Database, render: RenderBody, portion: int = 1000, metrics: Metrics | None = None
    ) -> None:
        self._database = database
        self._metrics = metrics or Metrics(SYSTEM_CLOCK)
        self._render = render
        self._portion = portion

    async def spawn(self, parent: Claimed, name: str, key: str, digest: bytes) -> SpawnRow | None:
        """The spawn of this step, a new one where there is none with this digest."""
        async with self._database.transaction() as connection:
            if not await _owned(connection, parent):
                return None
            found = await connection.fetchrow(_SPAWN, parent.id, name, key)
            if found is not None and found["digest"] == digest:
                return _spawn(found)
            if found is not None:
                await connection.execute(_RETIRE, found["id"])
            new = ids.uuid7()
            await connection.execute(_NEW_SPAWN, new, parent.id, name, key, digest)
            return SpawnRow(new, 0, 0, False)

    async def start(
        self, parent: Claimed, spawn: SpawnRow, common: ChildrenOf, inputs: Sequence[bytes]
    ) -> SpawnRow | None:
        """Start the next portion of its children; how far it is then. Each is started once, whoever tries."""
        places = range(spawn.started, min(spawn.started + self._portion, len(inputs)))
        children = [
            (spawn.child(place), place, ids.uuid7(), inputs[place], ids.span_id(), ids.uuid7()) for place in places
        ]
        async with self._database.transaction() as connection:
            if not await _owned(connection, parent):
                return None
            made = await connection.fetchval(
                _START, parent.id, *map(list, zip(*children, strict=True)), common.workflow, common.version,
                common.lane, common.retain_s, common.max_cost_nanos, common.parent_span_id, spawn.id,
            )  # fmt: skip
            row = await connection.fetchrow(_STARTED, spawn.id, places.stop, made)
        self._metrics.submitted.add(common.workflow, common.lane, "created", by=made)
        return None if row is None else _spawn(row)

    async def revive(self, parent: Claimed, spawn: SpawnRow) -> int | None:
        """Queue its canceled children again; how many there were."""
        count = 0
        for start in range(0, spawn.started, self._portion):
            stop = min(start + self._portion, spawn.started)
            revived = await self._revive(parent, spawn, range(start, stop), last=stop == spawn.started)
            if revived is None:
                return None
            count += revived
        return count

    async def ends(self, spawn: SpawnRow) -> list[ChildRow] | None:
        """Its children in order; then nobody waits for them any more. None when one of them is open, again."""
        found: list[ChildRow] = []
        async with self._database.connection() as connection:
            for start in range(0, spawn.started, self._portion):
                own = [spawn.child(place) for place in range(start, min(start + self._portion, spawn.started))]
                by_id = {row["id"]: row for row in await connection.fetch(_ENDS, own)}
                found += [_child(by_id[child]) for child in own]
            if not all(child.status.terminal for child in found):
                return None
            await connection.execute(_READ, spawn.id)
        return found

    async def sweep(self) -> Swept | None:
        """Cancel a portion of the children of a lost parent; None when there is none, or another process sweeps.

        Where there is none, what is left of spawns that are over is deleted.
        """
        async with self._database.transaction() as connection:
            if not await connection.fetchval(_SWEEPER):
                return None
            row = await connection.fetchrow(_CANCELING)
            if row is None:
                await connection.execute(_FORGET)
                return None
            spawn, stop = _spawn(row), min(row["swept"] + self._portion, row["started"])
            own = [spawn.child(place) for place in range(row["swept"], stop)]
            await families.lock_children(connection, own)
            if not await connection.fetchval(_STILL, spawn.id):
                return Swept([], [])
            ended = [moved_of(one) for one in await connection.fetch(CANCEL, own, _WITH_PARENT)]
            told = [one["id"] for one in await connection.fetch(FLAG, own)]
            moved = await families.moved(connection, ended)
            await connection.execute(_SWEPT, spawn.id, stop)
            await announce(connection, moved, SYSTEM_CLOCK.now(), self._render)
        return Swept(moved, told)

    async def _revive(self, parent: Claimed, spawn: SpawnRow, places: range, *, last: bool) -> int | None:
        async with self._database.transaction() as connection:
            own = [spawn.child(place) for place in places]
            await families.lock_children(connection, own)
            if not await _owned(connection, parent):
                return None
            canceled = [row["id"] for row in await connection.fetch(_CANCELED, own)]
            await queue_again(connection, canceled, self._render)
            await connection.execute(_REVIVED, canceled)
            await connection.execute(_REVIVING, spawn.id, not last)
        return len(canceled)


async def _owned(connection: Connection, parent: Claimed) -> bool:
    return await connection.fetchval(_FENCE, parent.id, parent.epoch) is not None


def _spawn(row: asyncpg.Record) -> SpawnRow:
    return SpawnRow(row["id"], row["started"], row["open"], row["reviving"])


def _child(row: asyncpg.Record) -> ChildRow:
    return ChildRow(row["id"], Status(row["status"]), row["body"], rows.failure(row))
