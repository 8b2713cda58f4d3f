"""Reads jobs for clients: one, a page, its timeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg

from app.domain import ids
from app.domain.job import Job, Status
from app.store import rows
from app.store.coalescer import Coalescer
from app.store.database import Database
from app.store.turn import UNCLAIMED

_Whose: TypeAlias = tuple[UUID, UUID]
"""A project and a job."""
# Whole jobs in one query: each may carry a payload of megabytes.
_MOST_TOGETHER = 32
_ATTEMPTS = "select * from attempts where job_id = any($1::uuid[]) order by epoch"
_DELIVERY = """case when j.has_webhook then (
    select d.status from deliveries d where d.job_id = j.id order by d.id desc limit 1
) end as delivery"""
_WANTED = "unnest($1::uuid[], $2::uuid[]) as wanted (project_id, id) join jobs j using (project_id, id)"
_WHOLE = f"""
select {rows.JOB_COLUMNS}, i.body as input, o.body as output, {_DELIVERY}
from {_WANTED} join payloads i on i.id = j.input_id left join payloads o on o.id = j.output_id
"""
_RECENT = """
select count(*) as n, percentile_cont(0.5) within group (order by took) as p50,
    percentile_cont(0.95) within group (order by took) as p95, avg(cost_nanos) as cost, avg(input_tokens) as tokens
from (
    select extract(epoch from ended_at - created_at)::float8 as took, cost_nanos, input_tokens
    from jobs where project_id = $1 and workflow = $2 and status = 'succeeded' and source_job_id is null
    order by id desc limit 200
) last
"""
_UNSTARTED = f"""
select project_id, count(*) as count,
    extract(epoch from now() - min(due_at) filter (where due_at <= now()))::float8 as oldest_s
from jobs where {UNCLAIMED} group by project_id
"""
_HEADS = f"select j.project_id, j.id, j.status, j.revision, j.expires_at from {_WANTED}"
_STEPS = """
select name, key, kind, status, tries, args_digest, output, error_class, error_code, error_detail, started_at, ended_at,
    attempt, span_id, cached, via, null as error_step
from steps where job_id = $1 order by started_at
"""
_CALLS = "select * from calls where job_id = $1 order by started_at"
_DELIVERIES = """
select d.id, d.type, d.url, d.status, a.n, a.at, a.status_code, a.error, a.duration_ms, a.span_id
from deliveries d join delivery_attempts a on a.delivery_id = d.id where d.job_id = $1 order by a.at
"""


@dataclass(frozen=True, slots=True)
class JobFilter:
    """What a list is narrowed to; None does not narrow. `after` is the last id of the page before."""

    workflow: str | None = None
    statuses: tuple[str, ...] = ()
    created_after: datetime | None = None
    created_before: datetime | None = None
    tag: str | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    error_code: str | None = None
    error_class: str | None = None
    disposition: str | None = None
    after: UUID | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """The little that tells whether a job has moved."""

    status: Status
    revision: int
    expires_at: datetime

    def kept_at(self, now: datetime) -> bool:
        """Whether the job is live, or its payloads are still kept."""
        return not self.status.terminal or self.expires_at > now


@dataclass(frozen=True, slots=True)
class Unstarted:
    """Jobs that nobody has in hand; the oldest that may start has waited for `oldest_s`, None where none may."""

    count: int
    oldest_s: float | None


@dataclass(frozen=True, slots=True)
class Recent:
    """How a workflow's last jobs went that were run and succeeded: seconds to the end, nano-dollars and tokens each."""

    count: int
    p50_s: float
    p95_s: float
    cost_nanos: int
    input_tokens: int


@dataclass(frozen=True, slots=True)
class TraceRows:
    """What a timeline is drawn from; `claims` are those that ended before the job, in order."""

    job: Job
    claims: Sequence[Mapping[str, Any]]
    steps: Sequence[Mapping[str, Any]]
    calls: Sequence[Mapping[str, Any]]
    deliveries: Sequence[Mapping[str, Any]]


class Reads:
    """The reading door; every query is scoped to a project. Reads of the same moment share a query."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._jobs: Coalescer[_Whose, Job | None] = Coalescer(self._read_jobs, linger_s=0, most=_MOST_TOGETHER)
        self._heads: Coalescer[_Whose, Head | None] = Coalescer(self._read_heads, linger_s=0)

    async def job(self, project_id: UUID, job_id: UUID) -> Job | None:
        """One job with its payloads; None when the project has none of that id."""
        return await self._jobs((project_id, job_id))

    async def head(self, project_id: UUID, job_id: UUID) -> Head | None:
        """What a conditional poll needs."""
        return await self._heads((project_id, job_id))

    async def _read_jobs(self, wanted: Sequence[_Whose]) -> list[Job | None]:
        async with self._database.connection() as connection:
            found = await connection.fetch(_WHOLE, *_columns(wanted))
            again = [row["id"] for row in found if row["epoch"] > 1]
            earlier = await connection.fetch(_ATTEMPTS, again) if again else []
        jobs = {
            (row["project_id"], row["id"]): rows.job(
                row,
                input=row["input"],
                output=row["output"],
                earlier=_of(row["id"], earlier),
                delivery=row["delivery"],
            )
            for row in found
        }
        return [jobs.get(one) for one in wanted]

    async def _read_heads(self, wanted: Sequence[_Whose]) -> list[Head | None]:
        async with self._database.connection() as connection:
            found = await connection.fetch(_HEADS, *_columns(wanted))
        heads = {
            (row["project_id"], row["id"]): Head(Status(row["status"]), row["revision"], row["expires_at"])
            for row in found
        }
        return [heads.get(one) for one in wanted]

    async def recent(self, project_id: UUID, workflow: str) -> Recent | None:
        """What the last 200 jobs tell; None before the first has succeeded."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_RECENT, project_id, workflow)
        if row is None or not row["n"]:
            return None
        return Recent(row["n"], row["p50"], row["p95"], int(row["cost"]), int(row["tokens"]))

    async def unstarted(self) -> dict[UUID, Unstarted]:
        """The unclaimed jobs of each project that has some."""
        async with self._database.connection() as connection:
            found = await connection.fetch(_UNSTARTED)
        return {row["project_id"]: Unstarted(row["count"], row["oldest_s"]) for row in found}

    async def page(self, project_id: UUID, wanted: JobFilter, limit: int) -> list[Job]:
        """Up to `limit` jobs, newest first, without payloads."""
        where, values = _where(project_id, wanted)
        statement = (
            f"select {rows.JOB_COLUMNS}, {_DELIVERY} from jobs j where {where} order by j.id desc limit {int(limit)}"
        )
        async with self._database.connection() as connection:
            found = await connection.fetch(statement, *values)
            earlier = await connection.fetch(_ATTEMPTS, [row["id"] for row in found if row["epoch"] > 1])
        return [
            rows.job(row, input=None, output=None, delivery=row["delivery"], earlier=_of(row["id"], earlier))
            for row in found
        ]

    async def trace(self, project_id: UUID, job_id: UUID) -> TraceRows | None:
        """Everything a job's timeline is drawn from."""
        job = await self.job(project_id, job_id)
        if job is None:
            return None
        async with self._database.connection() as connection:
            claims = await connection.fetch(_ATTEMPTS, [job_id])
            steps = await connection.fetch(_STEPS, job_id)
            calls = await connection.fetch(_CALLS, job_id)
            deliveries = await connection.fetch(_DELIVERIES, job_id)
        return TraceRows(job, *([dict(row) for row in found] for found in (claims, steps, calls, deliveries)))


def _of(job_id: UUID, attempts: Sequence[asyncpg.Record]) -> list[asyncpg.Record]:
    return [attempt for attempt in attempts if attempt["job_id"] == job_id]


def _where(project_id: UUID, wanted: JobFilter) -> tuple[str, list[object]]:
    """The condition with its values; every value is a parameter."""
    terms: list[tuple[str, object]] = [("j.project_id = {}", project_id)]
    if wanted.after:
        terms.append(("j.id < {}", wanted.after))
    if wanted.statuses:
        terms.append(("j.status = any({}::text[])", list(wanted.statuses)))
    if wanted.created_after:
        terms.append(("j.id >= {}", ids.uuid7_floor(int(wanted.created_after.timestamp() * 1000))))
        terms.append(("j.created_at > {}", wanted.created_after))
    if wanted.created_before:
        terms.append(("j.created_at < {}", wanted.created_before))
    for column in ("workflow", "error_code", "error_class", "disposition"):
        if value := getattr(wanted, column):
            terms.append((f"j.{column} = {{}}", value))
    if wanted.tag:
        terms.append(("j.tags ? {}", wanted.tag))
    for key, value in wanted.metadata:
        terms.append(("j.metadata @> {}::jsonb", rows.json_text({key: value})))
    return " and ".join(term.format(f"${n}") for n, (term, _) in enumerate(terms, 1)), [value for _, value in terms]


def _columns(wanted: Sequence[_Whose]) -> tuple[list[UUID], list[UUID]]:
    """Each job once, by column."""
    once = list(dict.fromkeys(wanted))
    return [project_id for project_id, _ in once], [job_id for _, job_id in once]
