"""Jobs that succeeded without some of their steps: taken up again when due, their output replaced under a fence.

The job stays as it is until its new output stands. Who mends it raises its epoch, so that nobody else can write.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.domain import canonical, ids
from app.domain.clock import SYSTEM_CLOCK
from app.domain.event import EventType
from app.domain.job import Claimed, Status, Usage
from app.store.announce import Moved, RenderBody, announce
from app.store.claims import claimed
from app.store.database import Connection, Database

# Of one that died under it, another worker takes the job up after so long.
LEASE_S = 900.0

_SCHEDULE = """
insert into mends (job_id, due_at) select id, clock_timestamp() + make_interval(secs => after_s)
from unnest($1::uuid[], $2::float8[]) as g (id, after_s)
on conflict (job_id) do update set due_at = excluded.due_at, tries = 0
"""
# One whose result has expired is not worth it any more.
_CLAIM = """
with due as (
    select job_id from mends where due_at <= clock_timestamp() order by due_at limit $1 for update skip locked
), taken as (
    update jobs j set epoch = j.epoch + 1 from due
    where j.id = due.job_id and j.status = 'succeeded' and j.expires_at > clock_timestamp()
    returning j.*
), over as (
    delete from mends m using due
    where m.job_id = due.job_id and not exists (select from taken where taken.id = due.job_id)
), marked as (
    update mends m set due_at = clock_timestamp() + make_interval(secs => $2), epoch = taken.epoch
    from taken where m.job_id = taken.id
    returning m.job_id, m.tries
)
select t.id, t.epoch, t.project_id, t.key_id, t.workflow, t.version, t.lane, t.attempt, t.revision, t.trace_id,
    t.span_id, t.parent_span_id, t.created_at, t.due_at, t.claimed_at, t.finish_by, t.max_cost_nanos, t.test_mode,
    t.has_webhook, t.input_tokens, t.output_tokens, t.cached_tokens, t.calls, t.cost_nanos, t.saved_nanos,
    t.attempt_cost_nanos, t.parent_id, t.simulated, t.cache_mode, 0 as deaths, t.degraded, marked.tries, p.body
from taken t join marked on marked.job_id = t.id join payloads p on p.id = t.input_id
"""
_OWNED = """
select j.id from jobs j join mends m on m.job_id = j.id and m.epoch = j.epoch
where j.id = $1 and j.epoch = $2 and j.status = 'succeeded' for no key update of j, m
"""
_REPLACE = """
with gone as (
    delete from payloads where $2::uuid is not null and id = (select output_id from jobs where id = $1)
), moved as (
    update jobs set revision = revision + 1, output_id = coalesce($2, output_id),
        degraded = case when $2::uuid is null then degraded else $3 end, input_tokens = $4, output_tokens = $5,
        cached_tokens = $6, calls = $7, cost_nanos = $8, saved_nanos = $9,
        attempt_cost_nanos = attempt_cost_nanos + $8 - cost_nanos
    where id = $1 returning id, project_id, status, revision, lane, has_webhook
), kept as (
    insert into payloads (id, job_id, body) select $2, id, $10 from moved where $2::uuid is not null
)
select * from moved
"""
_AGAIN = """
update mends set due_at = clock_timestamp() + make_interval(secs => $2), tries = tries + $3::int where job_id = $1
"""
_OVER = "delete from mends where job_id = $1"


@dataclass(frozen=True, slots=True)
class Due:
    """A job to be mended, as its present owner sees it; `tries`: how often it was tried before."""

    job: Claimed
    tries: int
    degraded: list[Any]


@dataclass(frozen=True, slots=True)
class Mend:
    """What came of it: `output` None leaves the old one. `after_s`: when to try again, None: never; `tried` counts it.

    `usage` is the job's total.
    """

    job: Claimed
    usage: Usage
    after_s: float | None
    tried: bool = True
    output: bytes | None = None
    degraded: tuple[Any, ...] = ()


async def schedule(connection: Connection, jobs: Sequence[tuple[UUID, float]]) -> None:
    """These have just succeeded without some of their steps: try those again after so many seconds."""
    if jobs:
        await connection.execute(_SCHEDULE, *map(list, zip(*jobs, strict=True)))


class Mends:
    """The door for them, for one worker process."""

    def __init__(self, database: Database, render: RenderBody) -> None:
        self._database = database
        self._render = render

    async def claim(self, most: int) -> list[Due]:
        """Those that are due, now this worker's. Raises StoreAway."""
        async with self._database.transaction() as connection:
            found = await connection.fetch(_CLAIM, most, LEASE_S)
        return [Due(claimed(row), row["tries"], canonical.load(row["degraded"] or b"[]")) for row in found]

    async def settle(self, mend: Mend) -> Moved | None:
        """Write it; None when it was not worth a revision, or the job is no longer this worker's. Raises StoreAway."""
        job = mend.job
        async with self._database.transaction() as connection:
            if await connection.fetchrow(_OWNED, job.id, job.epoch) is None:
                return None
            moved = None
            if mend.output is not None or mend.usage != job.usage:
                moved = await self._replace(connection, mend)
            if mend.after_s is None:
                await connection.execute(_OVER, job.id)
            else:
                await connection.execute(_AGAIN, job.id, mend.after_s, mend.tried)
        return moved

    async def _replace(self, connection: Connection, mend: Mend) -> Moved:
        usage, new = mend.usage, mend.output is not None
        (row,) = await connection.fetch(
            _REPLACE, mend.job.id, ids.uuid7() if new else None,
            canonical.dump(list(mend.degraded)) if mend.degraded else None, usage.input_tokens, usage.output_tokens,
            usage.cached_tokens, usage.calls, usage.cost_nanos, usage.saved_nanos, mend.output,
        )  # fmt: skip
        moved = Moved(
            row["id"], row["project_id"], Status(row["status"]), row["revision"], row["lane"], row["has_webhook"],
            EventType.JOB_UPDATED if new else None,
        )  # fmt: skip
        await announce(connection, [moved], SYSTEM_CLOCK.now(), self._render)
        return moved
