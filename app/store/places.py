"""Where one job stands: what is ahead of it in its lane, what it is behind of, what its children do. For people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from app.domain.job import Job
from app.store.database import Database
from app.store.tenants import LANE
from app.store.turn import UNCLAIMED

# Nobody is helped by a greater number.
MOST = 10_000
_PROJECTS = 200


@dataclass(frozen=True, slots=True)
class Rival:
    """Another project that waits in the same lane: its virtual time in slot-seconds, and its due jobs up to MOST."""

    had: float
    count: int


@dataclass(frozen=True, slots=True)
class Place:
    """A due job in its lane: its project's own jobs ahead of it (up to MOST), its virtual time, and the rivals.

    `off_peak`: it starts in the lane's off-peak hours only; `paused`: its workflow is.
    """

    own: int
    had: float
    rivals: tuple[Rival, ...]
    off_peak: bool
    paused: bool


@dataclass(frozen=True, slots=True)
class Ahead:
    """The job just ahead under the same ordering key, and how many are ahead of it in all."""

    job_id: UUID
    status: str
    count: int


# As the claim chooses, see store/turn: what is paused, or off peak in the wrong hours, is passed over.
_CLAIMABLE = f"""lane = $1 and {UNCLAIMED} and due_at <= now() and ($2 or not off_peak)
    and workflow <> all(array(select name from pauses where kind = 'workflow'))"""
_OWN = f"""
select count(*) from (
    (select from jobs where {_CLAIMABLE} and project_id = $3 and priority > $4 limit $7) union all
    (select from jobs where {_CLAIMABLE} and project_id = $3 and priority = $4 and due_at <= $5
        and (due_at, id) < ($5, $6) limit $7)
) ahead
"""
_ITSELF = """
select off_peak, exists (select from pauses where kind = 'workflow' and name = workflow) as paused,
    greatest((select virtual_time from tenants t where t.lane = j.lane and t.project_id = j.project_id),
        (select virtual_time from tenants t where t.lane = j.lane and t.project_id = $2), 0) as had
from jobs j where id = $1
"""
# From project to project, by one step in the index each.
_RIVALS = f"""
with recursive project as (
    (select project_id from jobs where lane = $1 and {UNCLAIMED} order by project_id limit 1)
    union all
    select next.project_id from project cross join lateral (
        select project_id from jobs where lane = $1 and {UNCLAIMED} and project_id > project.project_id
        order by project_id limit 1
    ) next
), rival as (
    select project_id from project where project_id <> $3 limit {_PROJECTS}
)
select waiting.count, greatest(own.virtual_time, all_of.virtual_time, 0) as had
from rival cross join lateral (
    select count(*) as count from (
        select from jobs where {_CLAIMABLE} and project_id = rival.project_id limit $4
    ) due
) waiting
left join tenants own on own.lane = $1 and own.project_id = rival.project_id
left join tenants all_of on all_of.lane = $1 and all_of.project_id = $5
where waiting.count > 0
"""
_AHEAD = """
select l.job_id, j.status, count(*) over () as count
from ordering_lines l join jobs j on j.id = l.job_id
join ordering_lines own on own.project_id = l.project_id and own.ordering_key = l.ordering_key and own.place > l.place
where own.project_id = $1 and own.ordering_key = $2 and own.job_id = $3
order by l.place desc limit 1
"""
_CHILDREN = """
select coalesce(sum(started), 0)::int as started, coalesce(sum(open), 0)::int as open
from spawns where parent_id = $1 and awaited and not retired
"""
_WORKER = "select worker_id from jobs where id = $1 and status = 'running'"
_UNENDED = """
select g.name, g.key from unnest($2::text[], $3::text[]) as g (name, key)
where not exists (
    select from steps s where s.job_id = $1 and s.name = g.name and s.key = g.key and s.status <> 'retrying'
)
"""

# An operator's stop of the pool that it is parked for.
_STOPPED = """
select l.target, l.act from jobs j join levers l on l.target = j.pool
where j.id = $1 and l.lever = 'stop' and (l.ends_at is null or l.ends_at > clock_timestamp())
"""


class Places:
    """The door for these questions. Every method raises StoreAway."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def place(self, job: Job, off_peak_open: bool) -> Place | None:
        """Where a due job stands in its lane; None when there is no such job any more."""
        async with self._database.connection() as connection:
            itself = await connection.fetchrow(_ITSELF, job.id, LANE)
            if itself is None:
                return None
            what = (job.lane, off_peak_open, job.project_id)
            own = await connection.fetchval(_OWN, *what, job.priority, job.due_at, job.id, MOST)
            rivals = await connection.fetch(_RIVALS, *what, MOST, LANE)
        found = tuple(Rival(row["had"], row["count"]) for row in rivals)
        return Place(own, itself["had"], found, itself["off_peak"], itself["paused"])

    async def ahead(self, job: Job) -> Ahead | None:
        """What it is behind of by its ordering key."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_AHEAD, job.project_id, job.ordering_key, job.id)
        return Ahead(row["job_id"], row["status"], row["count"]) if row else None

    async def children(self, job_id: UUID) -> tuple[int, int]:
        """How many children it waits for, and how many of them have not ended."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_CHILDREN, job_id)
        return (row["started"], row["open"]) if row else (0, 0)

    async def stopped(self, job_id: UUID) -> tuple[str, str] | None:
        """The pool that it is parked for and what an operator did to it, `pause` or `drain`; None where nobody did."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_STOPPED, job_id)
        return (row["target"], row["act"]) if row else None

    async def worker(self, job_id: UUID) -> UUID | None:
        """The process that runs it."""
        async with self._database.connection() as connection:
            found: UUID | None = await connection.fetchval(_WORKER, job_id)
        return found

    async def unended(self, job_id: UUID, steps: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
        """Those of the steps, by name and key, that have no final record."""
        async with self._database.connection() as connection:
            found = await connection.fetch(_UNENDED, job_id, [name for name, _ in steps], [key for _, key in steps])
        return {(row["name"], row["key"]) for row in found}
