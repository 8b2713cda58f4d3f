"""Jobs that are parked for a pool: who they are, and whose turn it is when the pool has room."""

from __future__ import annotations

from app.domain.job import Status
from app.domain.park import ParkedLine, Room
from app.store.database import Database

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
# The projects that wait, lane by lane: one step in the index for each. $1 the pool, $2 lines at most.
_LINES = f"""
with recursive onward as (
    (select lane, project_id from jobs where pool = $1 and {_PARKED} order by lane, project_id limit 1)
    union all
    select next.lane, next.project_id from onward cross join lateral (
        select lane, project_id from jobs
        where pool = $1 and {_PARKED} and (lane, project_id) > (onward.lane, onward.project_id)
        order by lane, project_id limit 1
    ) next
), line as (
    select * from onward limit $2
)
"""
# $3: counted up to so many.
_COUNT = f"""
{_LINES}
select line.lane, line.project_id, few.asleep, few.woken
from line cross join lateral (
    select count(*) filter (where due_at > now()) as asleep, count(*) filter (where due_at <= now()) as woken
    from (
        select due_at from jobs
        where pool = $1 and {_PARKED} and lane = line.lane and project_id = line.project_id limit $3
    ) one
) few
"""
# One at a time for each pool: what another woke just now counts, also since this transaction began.
_ALONE = "select pg_try_advisory_xact_lock(hashtextextended('laneway pool ' || $1, 0))"
# $3 lanes in the order in which they are served, $4 the room of each: how many may come with those of the lanes
# before it. $5 to $8: lanes and projects of which calls stand in the pool's line, how many, and what each has had.
# Each project's next job comes after as many as it has in line already; of equal ones, whose project had least.
_WAKE = f"""
{_LINES}, place as (
    select * from unnest($3::text[], $4::int[]) with ordinality as p (lane, room, rank)
), woken as (
    select place.lane, place.rank, (
        select count(*) from place before join line on line.lane = before.lane
        cross join lateral (
            select from jobs where pool = $1 and {_PARKED} and lane = line.lane and project_id = line.project_id
                and due_at <= statement_timestamp() limit greatest(place.room, 0)
        ) one where before.rank <= place.rank
    ) as already from place
), head as (
    select job.id, place.rank, place.room - woken.already as room, coalesce(own.had, 0) as had,
        coalesce(own.standing, 0) + row_number() over (
            partition by line.lane, line.project_id order by job.priority desc, job.id
        ) as turn
    from line join place using (lane) join woken using (lane)
    left join unnest($5::text[], $6::uuid[], $7::int[], $8::float8[]) as own (lane, project_id, standing, had)
        on own.lane = line.lane and own.project_id = line.project_id
    cross join lateral (
        select id, priority from jobs
        where pool = $1 and {_PARKED} and lane = line.lane and project_id = line.project_id
            and due_at > statement_timestamp()
        order by priority desc, id limit greatest(place.room, 0)
    ) job
), best as (
    select id, room, row_number() over (order by rank, turn, had, id) as nth from head
), due as (
    select j.id from best join jobs j on j.id = best.id
    where best.nth <= best.room and j.pool = $1 and j.{_PARKED} and j.due_at > statement_timestamp()
    order by j.id for update of j skip locked
)
update jobs j set due_at = clock_timestamp() from due where j.id = due.id
returning j.lane
"""
# With more projects than this in the line of one pool, some wait until others are done.
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
        """Who is parked for it; each line counted up to some thousands."""
        async with self._database.connection() as connection:
            return [ParkedLine(**row) for row in await connection.fetch(_COUNT, pool, _MOST_LINES, _COUNTED)]

    async def wake(self, pool: str, room: Room) -> list[str]:
        """Make jobs due as far as there is room, and name the lane of each; nothing while another process does so."""
        own = [(one.lane, one.project_id, one.waiting, one.had) for one in room.standing]
        columns = [list(column) for column in zip(*own, strict=True)] or [[], [], [], []]
        async with self._database.transaction() as connection:
            if not await connection.fetchval(_ALONE, pool):
                return []
            given = (pool, _MOST_LINES, list(room.free), list(room.free.values()), *columns)
            return [row["lane"] for row in await connection.fetch(_WAKE, *given)]
