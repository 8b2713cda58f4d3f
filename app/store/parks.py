"""Jobs that are parked for a pool: who they are, and whose turn it is when the pool has room."""

from __future__ import annotations

from app.domain.job import Status
from app.domain.lane import LANES
from app.domain.park import ParkedLine, Room
from app.store.database import Database

_PAUSED = "array(select name from pauses where kind = 'workflow')"
_PARKED = f"status in ('{Status.SCHEDULED}', '{Status.WAITING}')"
# From name to name: one step in the index jobs_parked for each.
_POOLS = f"""
with recursive known as (
    (select pool from jobs where pool is not null and {_PARKED} order by pool limit 1)
    union all
    select next.pool from known cross join lateral (
        select pool from jobs where pool > known.pool and {_PARKED} order by pool limit 1
    ) next
)
select pool from known
"""
# What waits of each project's workflows, by one step in the index each, and of each lane so much that none is hidden by
# another. What is paused can't be claimed: it stands in nobody's way. $1 the pool, $2 lanes in the order in which they
# are served, $3 lines of each at most.
_LINES = f"""
with recursive served as (
    select * from unnest($2::text[]) with ordinality as one (lane, rank)
    where lane <> all(array(select name from pauses where kind = 'lane'))
), onward as (
    select served.lane, served.rank, 1 as nth, first.* from served cross join lateral (
        select project_id, workflow from jobs where pool = $1 and {_PARKED} and lane = served.lane
        order by project_id, workflow limit 1
    ) first
    union all
    select onward.lane, onward.rank, onward.nth + 1, next.* from onward cross join lateral (
        select project_id, workflow from jobs where pool = $1 and {_PARKED} and lane = onward.lane
            and (project_id, workflow) > (onward.project_id, onward.workflow)
        order by project_id, workflow limit 1
    ) next where onward.nth < $3
), line as (
    select * from onward where workflow <> all({_PAUSED})
)
"""
_SAME_LINE = f"""pool = $1 and {_PARKED} and lane = line.lane and project_id = line.project_id
    and workflow = line.workflow"""
# $4: counted up to so many.
_COUNT = f"""
{_LINES}
select line.lane, line.project_id, sum(few.asleep)::int as asleep, sum(few.woken)::int as woken
from line cross join lateral (
    select count(*) filter (where due_at > now()) as asleep, count(*) filter (where due_at <= now()) as woken
    from (select due_at from jobs where {_SAME_LINE} limit $4) one
) few group by line.rank, line.lane, line.project_id order by line.rank, line.project_id
"""
# One at a time for each pool: what another woke just now counts, also since this transaction began.
_ALONE = "select pg_try_advisory_xact_lock(hashtextextended('laneway pool ' || $1, 0))"
# $4 the room of each lane: how many may come with those of the lanes before it. $5 to $8: lanes and projects of which
# calls stand in the pool's line, how many, and what each has had. `left_over` is room that those leave who were woken
# and are not claimed yet.
# Each project's next job comes after as many as it has in line already; of equal ones, whose project had least.
_WAKE = f"""
{_LINES}, place as materialized (
    select lane, rank, room - sum(woken.count) over (order by rank) as left_over
    from served join unnest($2::text[], $4::int[]) as given (lane, room) using (lane)
    cross join lateral (
        select count(*) from jobs where pool = $1 and {_PARKED} and lane = served.lane
            and due_at <= statement_timestamp() and workflow <> all({_PAUSED})
    ) woken
), head as (
    select job.id, place.rank, place.left_over, coalesce(own.had, 0) as had,
        coalesce(own.standing, 0) + row_number() over (
            partition by line.lane, line.project_id order by job.priority desc, job.id
        ) as turn
    from line join place using (lane)
    left join unnest($5::text[], $6::uuid[], $7::int[], $8::float8[]) as own (lane, project_id, standing, had)
        on own.lane = line.lane and own.project_id = line.project_id
    cross join lateral (
        select id, priority from jobs where {_SAME_LINE} and due_at > statement_timestamp()
        order by priority desc, id limit greatest(place.left_over, 0)
    ) job
), best as (
    select id, left_over, row_number() over (order by rank, turn, had, id) as nth from head
), due as (
    select j.id from best join jobs j on j.id = best.id
    where best.nth <= best.left_over and j.pool = $1 and j.{_PARKED} and j.due_at > statement_timestamp()
    order by j.id for update of j skip locked
)
update jobs j set due_at = clock_timestamp() from due where j.id = due.id
returning j.lane
"""
# With more lines than this in one lane of a pool, some wait until others are done.
_MOST_LINES = 500
_COUNTED = 5000


class Parks:
    """The door by which pools see and wake those who are parked for them. Every method raises StoreAway."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def pools(self) -> list[str]:
        """Those that jobs are parked for."""
        async with self._database.connection() as connection:
            return [row["pool"] for row in await connection.fetch(_POOLS)]

    async def lines(self, pool: str) -> list[ParkedLine]:
        """Who is parked for it and not paused; each line counted up to some thousands."""
        async with self._database.connection() as connection:
            return [ParkedLine(**row) for row in await connection.fetch(_COUNT, pool, LANES, _MOST_LINES, _COUNTED)]

    async def wake(self, pool: str, room: Room) -> list[str]:
        """Make jobs due as far as there is room, and name the lane of each; nothing while another process does so."""
        own = [(one.lane, one.project_id, one.waiting, one.had) for one in room.standing]
        columns = [list(column) for column in zip(*own, strict=True)] or [[], [], [], []]
        async with self._database.transaction() as connection:
            if not await connection.fetchval(_ALONE, pool):
                return []
            given = (pool, list(room.free), _MOST_LINES, list(room.free.values()), *columns)
            return [row["lane"] for row in await connection.fetch(_WAKE, *given)]
