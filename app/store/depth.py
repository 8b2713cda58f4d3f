"""Counts of what is not done yet, by lane: from the indexes of unfinished jobs, however many have ended."""

from __future__ import annotations

from dataclasses import dataclass

from app.store.database import Database
from app.store.turn import UNCLAIMED


@dataclass(frozen=True, slots=True)
class DepthRow:
    """Unfinished jobs of one lane in one state for one reason; `due` of them may start, the oldest since `oldest_s`.

    Those that run have done so for `running_s` on average.
    """

    lane: str
    status: str
    reason: str | None
    count: int
    due: int
    oldest_s: float
    running_s: float


# Two partial indexes; one condition for both parts would read the whole table.
_JOBS = f"""
select lane, status, reason, count(*) as count, count(*) filter (where due_at <= now()) as due,
    coalesce(extract(epoch from now() - min(due_at) filter (where due_at <= now())), 0)::float8 as oldest_s,
    0::float8 as running_s
from jobs where {UNCLAIMED} group by lane, status, reason
union all
select lane, 'running', null, count(*), 0, 0, avg(extract(epoch from now() - claimed_at))::float8
from jobs where status = 'running' group by lane
"""
_DELIVERIES = """
select 'delivery' as lane, case when next_at <= now() then 'queued' else 'scheduled' end as status,
    case when next_at <= now() then null else 'retry' end as reason, count(*) as count,
    count(*) filter (where next_at <= now()) as due,
    coalesce(extract(epoch from now() - min(next_at) filter (where next_at <= now())), 0)::float8 as oldest_s,
    0::float8 as running_s
from deliveries where status in ('pending', 'failed') and worker_id is null and next_at is not null group by 2, 3
union all
select 'delivery', 'running', null, count(*), 0, 0, 0 from deliveries where worker_id is not null having count(*) > 0
"""
_PAUSED = "select name from pauses where kind = 'lane'"


class Depth:
    """The door for these counts; its caller asks seldom. Every method raises StoreAway."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def rows(self) -> list[DepthRow]:
        """Jobs by lane, state and reason; webhooks to deliver are the lane `delivery`."""
        async with self._database.connection() as connection:
            found = [*await connection.fetch(_JOBS), *await connection.fetch(_DELIVERIES)]
        return [DepthRow(**dict(row)) for row in found]

    async def paused(self) -> frozenset[str]:
        """The lanes that are paused."""
        async with self._database.connection() as connection:
            return frozenset(row["name"] for row in await connection.fetch(_PAUSED))
