"""Whose turn it is in a lane: the part of the claim that chooses jobs, as SQL.

A line is what a project has waiting of one workflow: by priority, then first come, first served. `onward` and `around`
step from line to line in the index jobs_claim; `seen` is so many of them, from where the look before ended, so that a
claim costs the same with ten tenants as with thousands. `line` drops what is paused, held or not due, and looks up how
much of the lane each project has had; who was idle joins at the lane's own time. `few` takes the projects that had
least. `head` puts their first jobs into one order: each starts at its project's time plus the cost of those before it,
its `tag`. Before all of them go the `woken`: jobs that gave up their slots for a pool which has room for them now, and
whose order was found when they were woken. Only in `woken` and `due` rows are locked, and what others have locked is
passed over: claims that run at the same time share the order and wait for nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from app.domain.job import Verb, sources
from app.store.suspect import SUSPECT
from app.store.tenants import LANE

UNCLAIMED = "status in ('" + "', '".join(sources(Verb.CLAIM)) + "')"

_LINE = "(project_id, workflow, off_peak)"
_LAST = "($11, $12, $13)"
_SAME_LINE = "lane = $1 and project_id = line.project_id and workflow = line.workflow and off_peak = line.off_peak"


@dataclass(frozen=True, slots=True)
class Look:
    """How much a claim takes in: lines, projects among them, and jobs for each one wanted, and besides."""

    lines: int
    projects: int
    jobs_each: int
    jobs_besides: int


# First a few; a claim that comes out short, because others hold those, looks at all there is.
NEAR = Look(lines=64, projects=16, jobs_each=4, jobs_besides=20)
FAR = Look(lines=1_000_000, projects=1_000_000, jobs_each=10, jobs_besides=1000)


def _walk(name: str, first: str, further: str) -> str:
    """Line by line, each by one step in the index, with the time at which its first job is due.

    A step has one lower bound: of two, the index would take the wrong one to start from.
    """
    step = f"""
        select project_id, workflow, off_peak, due_at from jobs where lane = $1 and {UNCLAIMED} and {{bound}}
        order by project_id, workflow, off_peak, priority desc, due_at, id limit 1"""
    seed = step.format(bound=f"{first} and not exists (select from pauses where kind = 'lane' and name = $1)")
    next_one = step.format(bound=f"{_LINE} > (last.project_id, last.workflow, last.off_peak) {further}")
    return f"{name} as (({seed}) union all select next.* from {name} last cross join lateral ({next_one}) next)"


# $1 lane, $2 jobs wanted, $3 whether the lane's off-peak hours are open, $4 whether a suspect may be taken,
# $5 and $6 workflows and what a claim of each costs, $7 the cost of any other,
# $8 lines, $9 projects and $10 jobs to look at, $11 to $13 the line at which the look before ended.
TURN = f"""
woken as (
    select j.id, 0::float8 as tag, 0::float8 as had, greatest(own.virtual_time, all_of.virtual_time, 0) as own_time,
        coalesce(known.cost, $7) as cost, false as suspect, false as starts
    from jobs j
    left join tenants own on own.lane = $1 and own.project_id = j.project_id
    left join tenants all_of on all_of.lane = $1 and all_of.project_id = '{LANE}'
    left join unnest($5::text[], $6::float8[]) as known (workflow, cost) on known.workflow = j.workflow
    where j.lane = $1 and j.pool is not null and j.{UNCLAIMED} and j.due_at <= now()
        and (j.expire_by is null or j.expire_by > now()) and not {SUSPECT.replace("deaths", "j.deaths")}
        and not exists (select from pauses where kind = 'lane' and name = $1)
        and j.workflow <> all(array(select name from pauses where kind = 'workflow'))
    order by j.due_at, j.id limit $2 for update of j skip locked
),
{_walk("onward", f"{_LINE} > {_LAST}", "")},
{_walk("around", f"{_LINE} <= {_LAST}", f"and {_LINE} <= {_LAST}")},
seen as (
    select * from (select * from onward union all select * from around) line limit $8
), line as (
    select line.*, coalesce(own.virtual_time, 0) as had, greatest(own.virtual_time, all_of.virtual_time, 0) as own_time,
        coalesce(known.cost, $7) as cost
    from seen line
    left join tenants own on own.lane = $1 and own.project_id = line.project_id
    left join tenants all_of on all_of.lane = $1 and all_of.project_id = '{LANE}'
    left join unnest($5::text[], $6::float8[]) as known (workflow, cost) on known.workflow = line.workflow
    where ($3 or not line.off_peak)
        and line.workflow <> all(array(select name from pauses where kind = 'workflow'))
        and (line.due_at <= now() or (
            select id from jobs where {_SAME_LINE} and {UNCLAIMED} and due_at <= now()
            order by priority desc, due_at, id limit 1
        ) is not null)
), few as (
    select * from line
    where project_id in (select project_id from line group by project_id order by min(had) limit $9)
), head as (
    select job.*, line.had, line.own_time, line.cost, line.own_time - line.cost + sum(line.cost) over (
        partition by line.project_id order by job.priority desc, job.due_at, job.id rows unbounded preceding
    ) as tag
    from few line cross join lateral (
        select id, priority, due_at from jobs
        where {_SAME_LINE} and {UNCLAIMED} and due_at <= now() and (expire_by is null or expire_by > now())
            and ($4 or not {SUSPECT})
        order by priority desc, due_at, id
        limit (select least($10::bigint, greatest(4, 2 * $10::bigint / count(*))) from few)
    ) job
), best as (
    select * from head order by tag, had, due_at, id limit $10
), due as (
    select j.id, best.tag, best.had, best.own_time, best.cost, {SUSPECT} as suspect,
        j.started_at is null as starts
    from best join jobs j on j.id = best.id
    where j.lane = $1 and j.{UNCLAIMED} and j.due_at <= now() and (j.expire_by is null or j.expire_by > now())
        and j.id not in (select id from woken)
    order by best.tag, best.had, best.due_at, best.id limit greatest(0, $2 - (select count(*) from woken))
    for update of j skip locked
)
"""
# Where the next look begins: after the last line of a look that was full.
ENDED_AT = f"(select {_LINE} from seen offset $8 - 1)"
BEGINNING = (UUID(int=0), "", False)
CONTESTED = "(select count(distinct project_id) > 1 from seen)"
# The lane's own time: nobody who waits has had less since he came.
LANE_TIME = "(select min(own_time) from line)"
