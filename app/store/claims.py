"""Claims due jobs of a lane: all that ask within a moment share one statement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from uuid import UUID

import asyncpg

from app.domain import ids
from app.domain.clock import SYSTEM_CLOCK
from app.domain.event import EventType
from app.domain.hours import Hours
from app.domain.job import CacheMode, Claimed, Status
from app.store import rows
from app.store.announce import Moved, RenderBody, announce
from app.store.coalescer import Coalescer
from app.store.database import Connection, Database
from app.store.suspect import SUSPECT, Suspects
from app.store.tenants import Tenants
from app.store.turn import BEGINNING, CONTESTED, ENDED_AT, FAR, LANE_TIME, NEAR, TURN, UNCLAIMED, Look

# Of suspects, one at a time.
_CLAIM = f"""
with recursive {TURN}, taken as (
    select * from woken union all select * from due where not suspect
    union all (select * from due where suspect limit 1)
), mine as (
    update jobs j
    set status = 'running', reason = null, pool = null, epoch = epoch + 1, revision = revision + 1, worker_id = $14,
        claimed_at = clock_timestamp(), expire_by = null, off_peak = false,
        started_at = coalesce(started_at, clock_timestamp())
    from taken where j.id = taken.id
    returning j.*, taken.tag, taken.had, taken.own_time, taken.cost, taken.starts,
        j.has_webhook and exists (
            select from job_webhooks w where w.job_id = j.id and '{EventType.JOB_STARTED}' = any(w.events)
        ) and not exists (
            select from events e where e.job_id = j.id and e.type = '{EventType.JOB_STARTED}'
        ) as to_tell
), told as (
    insert into events (id, project_id, job_id, type, at, revision)
    select e.id, m.project_id, m.id, '{EventType.JOB_STARTED}', m.claimed_at, m.revision
    from (select mine.*, row_number() over () as n from mine) m
    join unnest($15::uuid[]) with ordinality as e (id, n) on e.n = m.n
    where m.starts and not m.to_tell
)
select m.id, m.epoch, m.project_id, m.workflow, m.version, m.lane, m.attempt, m.revision, m.trace_id, m.span_id,
    m.parent_span_id, m.created_at, m.claimed_at, m.finish_by, m.max_cost_nanos, m.test_mode, m.has_webhook,
    m.to_tell, m.due_at, m.input_tokens, m.output_tokens, m.cached_tokens, m.calls, m.cost_nanos, m.saved_nanos,
    m.attempt_cost_nanos, m.key_id, m.parent_id, m.simulated, m.cache_mode, p.body, {SUSPECT} as suspect,
    coalesce(cardinality(m.deaths), 0) as deaths, m.own_time, m.cost, coalesce({LANE_TIME}, m.own_time) as lane_time,
    {CONTESTED} as contested, {ENDED_AT} as ended_at
from mine m join payloads p on p.id = m.input_id
order by m.tag, m.had, m.due_at, m.id
"""
# Still this claim's.
_MINE = """
select id from jobs where (id, epoch) in (select * from unnest($1::uuid[], $2::int[])) and status = 'running'
for no key update
"""
_ACQUIT = "update jobs set deaths = null where id = $1 and epoch = $2 and status = 'running'"
_OWNED = "select id, epoch from jobs where worker_id = $1 and status = 'running'"
_COUNT_DUE = f"""
select count(*) from (
    select 1 from jobs where lane = $1 and ($3 or not off_peak) and {UNCLAIMED} and due_at <= now()
        and not exists (select from pauses where kind = 'lane' and name = $1)
    limit $2
) due
"""


class Claims:
    """The claim door of the store, for one worker process."""

    def __init__(
        self, database: Database, worker_id: UUID, render: RenderBody, off_peak: Mapping[str, Hours] | None = None
    ) -> None:
        self._database = database
        self._worker_id = worker_id
        self._render = render
        self._off_peak = {} if off_peak is None else off_peak
        self._suspects = Suspects()
        self._tenants = Tenants(database)
        self._after: dict[str, asyncpg.Record | None] = {}
        self._coalesce: Coalescer[str, Claimed | None] = Coalescer(self._flush, linger_s=0.001)

    async def claim(self, lane: str) -> Claimed | None:
        """The next due job of the lane, now owned by this worker; None when there is none. Raises StoreAway."""
        return await self._coalesce(lane)

    async def acquit(self, job: Claimed) -> None:
        """It got on since its worker died: it was not the cause, or it is past it. Raises StoreAway."""
        async with self._database.connection() as connection:
            await connection.execute(_ACQUIT, job.id, job.epoch)
        self._suspects.let_go(job.id)

    def let_go(self, job_id: UUID) -> None:
        """This worker runs the job no more."""
        self._suspects.let_go(job_id)
        self._tenants.let_go(job_id)

    async def owned(self) -> list[tuple[UUID, int]]:
        """The running jobs that stand under this worker's name, with their epochs."""
        async with self._database.connection() as connection:
            return [(row["id"], row["epoch"]) for row in await connection.fetch(_OWNED, self._worker_id)]

    async def due(self, lane: str, most: int) -> int:
        """How many jobs of the lane are due and unclaimed, counted up to `most`."""
        async with self._database.connection() as connection:
            return int(await connection.fetchval(_COUNT_DUE, lane, most, self._open(lane)))

    async def _flush(self, lanes: Sequence[str]) -> list[Claimed | None]:
        got: dict[str, list[Claimed]] = {}
        suspects: list[UUID] = []
        taken: list[asyncpg.Record] = []
        await self._tenants.written()
        with self._suspects.looking() as may:
            for lane, count in Counter(lanes).items():
                found = await self._take(lane, count, may and not suspects)
                suspects += [row["id"] for row in found if row["suspect"]]
                got[lane] = [claimed(row) for row in reversed(found)]
                taken += found
            self._suspects.hold(suspects)
            self._tenants.claimed(taken)
        return [got[lane].pop() if got[lane] else None for lane in lanes]

    async def _take(self, lane: str, count: int, suspect: bool) -> list[asyncpg.Record]:
        """Up to `count` jobs of the lane, one of them on its last life where `suspect` allows it."""
        async with self._database.connection() as connection:
            found = await self._look(connection, lane, NEAR, count, suspect)
            self._after[lane] = found[0]["ended_at"] if found else None
            if len(found) < count and await connection.fetchval(_COUNT_DUE, lane, 1, self._open(lane)):
                may = suspect and not any(row["suspect"] for row in found)
                found += await self._look(connection, lane, FAR, count - len(found), may)
        await self._tell([row for row in found if row["to_tell"]])
        return found

    async def _tell(self, started: Sequence[asyncpg.Record]) -> None:
        """Announce first starts whose webhook wants to know, while they are still this worker's.

        After a crash in between the next claim finds no event of the start, and tells of it.
        """
        if not started:
            return
        async with self._database.transaction() as connection:
            owners = [row["id"] for row in started], [row["epoch"] for row in started]
            mine = {row["id"] for row in await connection.fetch(_MINE, *owners)}
            moved = [_started(row) for row in started if row["id"] in mine]
            await announce(connection, moved, SYSTEM_CLOCK.now(), self._render)

    async def _look(
        self, connection: Connection, lane: str, look: Look, wanted: int, suspect: bool
    ) -> list[asyncpg.Record]:
        """Take the jobs whose turn it is, as far as the look goes."""
        what = (lane, wanted, self._open(lane), suspect, *self._tenants.costs())
        how_far = (look.lines, look.projects, look.jobs_each * wanted + look.jobs_besides)
        after, event_ids = self._after.get(lane) or BEGINNING, [ids.uuid7() for _ in range(wanted)]
        return await connection.fetch(_CLAIM, *what, *how_far, *after, self._worker_id, event_ids)

    def _open(self, lane: str) -> bool:
        """Whether jobs that wait for the lane's off-peak hours may start now."""
        hours = self._off_peak.get(lane)
        return hours is None or hours.open_at(SYSTEM_CLOCK.now())


def _started(row: asyncpg.Record) -> Moved:
    what = (row["id"], row["project_id"], Status.RUNNING, row["revision"], row["lane"], True, EventType.JOB_STARTED)
    return Moved(*what)


def claimed(row: asyncpg.Record) -> Claimed:
    """A job as its owner sees it, from a row with its input as `body`."""
    return Claimed(
        id=row["id"],
        epoch=row["epoch"],
        project_id=row["project_id"],
        key_id=row["key_id"],
        workflow=row["workflow"],
        version=row["version"],
        lane=row["lane"],
        attempt=row["attempt"],
        revision=row["revision"],
        input=row["body"],
        trace=rows.trace(row),
        usage=rows.usage(row),
        attempt_cost_nanos=row["attempt_cost_nanos"],
        created_at=row["created_at"],
        due_at=row["due_at"],
        claimed_at=row["claimed_at"],
        finish_by=row["finish_by"],
        max_cost_nanos=row["max_cost_nanos"],
        resumed=row["epoch"] > 1,
        test_mode=row["test_mode"],
        has_webhook=row["has_webhook"],
        deaths=row["deaths"],
        parent_id=row["parent_id"],
        simulated=row["simulated"],
        cache_mode=CacheMode(row["cache_mode"]) if row["cache_mode"] else None,
    )
