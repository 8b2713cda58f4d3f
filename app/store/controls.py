"""Moves that no worker makes: cancel, expire, retry, recover."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from uuid import UUID

import asyncpg

from app.domain.clock import SYSTEM_CLOCK
from app.domain.event import EventType
from app.domain.job import Status, Verb, sources
from app.store import families, rows
from app.store.announce import Moved, RenderBody, announce
from app.store.audits import Act, note
from app.store.database import Connection, Database
from app.store.leaves import END_EVENT
from app.store.steps import USED
from app.store.submissions import IdempotencyKey, Outcome, owner_of, take_key


def _in(verb: Verb) -> str:
    return "status in ('" + "', '".join(sources(verb)) + "')"


class Refusal(StrEnum):
    """Why a control had no effect."""

    NOT_FOUND = "not_found"
    REVISION = "revision"
    STATE = "state"


# Deaths within this many hours that make a job a dead letter, and how many.
_DEATH_WINDOW_H = 72
_DEATHS = 3

_RETURN = """returning j.id, j.project_id, j.status, j.revision, j.lane, j.has_webhook, j.workflow, j.error_class,
    j.error_code"""

CANCEL = f"""
update jobs j
set status = 'canceled', reason = null, epoch = epoch + 1, revision = revision + 1, expire_by = null,
    error_class = 'input', error_code = 'canceled_by_client', error_detail = $2,
    ended_at = clock_timestamp(), expires_at = clock_timestamp() + make_interval(secs => retain_s)
where id = any($1::uuid[]) and {_in(Verb.CANCEL)}
{_RETURN}
"""
FLAG = """
update jobs j set cancel_requested = true, revision = revision + 1
where id = any($1::uuid[]) and status = 'running' and not cancel_requested
returning j.id
"""
_CANCELED = "Canceled by the client."
_OVERDUE = f"select id from jobs where expire_by <= now() and {_in(Verb.EXPIRE)} limit 1000"
_EXPIRE = f"""
update jobs j
set status = 'expired', reason = null, epoch = epoch + 1, revision = revision + 1, error_class = 'transient',
    error_code = case when started_at is null and finish_by is distinct from expire_by then 'start_timeout'
        else 'run_timeout' end,
    error_detail = case when started_at is null and finish_by is distinct from expire_by
        then 'The job did not start within start_within.' else 'The job did not finish within finish_within.' end,
    expire_by = null, ended_at = clock_timestamp(), expires_at = clock_timestamp() + make_interval(secs => retain_s)
where id in (
    select id from jobs where expire_by <= now() and {_in(Verb.EXPIRE)} order by id limit 1000 for update skip locked
)
{_RETURN}
"""
_KEEP_ATTEMPT = """
insert into attempts (
    job_id, n, epoch, status, error_class, error_code, error_detail, error_step, cost_nanos, started_at, ended_at,
    due_at
)
select id, attempt, epoch, status, error_class, error_code, error_detail, error_step, attempt_cost_nanos, claimed_at,
    coalesce(ended_at, clock_timestamp()), due_at
from jobs where id = any($1::uuid[]) and claimed_at is not null
on conflict do nothing
"""
_RETRY = f"""
update jobs j
set status = 'queued', reason = null, epoch = epoch + 1, revision = revision + 1, due_at = clock_timestamp(),
    attempt = attempt + (case when claimed_at is null then 0 else 1 end), attempt_cost_nanos = 0, claimed_at = null,
    version = coalesce($2, version),
    ended_at = null, error_class = null, error_code = null, error_detail = null, error_step = null, disposition = null,
    degraded = null, cancel_requested = false, deaths = null,
    finish_by = clock_timestamp() + make_interval(secs => finish_within_s),
    expire_by = clock_timestamp() + make_interval(secs => least(start_within_s, finish_within_s))
where id = any($1::uuid[])
{_RETURN}
"""
_FORGET_FAILED = "delete from steps where job_id = any($1::uuid[]) and status <> 'succeeded'"
_FORGET_ALL = "delete from steps where job_id = any($1::uuid[])"
_RECOVER = f"""
with lost as (
    select id, worker_id, epoch, attempt, array(
        select d from unnest(deaths) d where d > clock_timestamp() - interval '{_DEATH_WINDOW_H} hours'
    ) || case when $2 then array[clock_timestamp()] else array[]::timestamptz[] end as deaths
    from jobs where status = 'running' and worker_id = any($1::uuid[]) and ($3::uuid[] is null or id = any($3))
    order by id for update skip locked
), kept as (
    insert into attempts (
        job_id, n, epoch, status, error_class, error_code, error_detail, cost_nanos, started_at, ended_at, due_at
    )
    select j.id, j.attempt, j.epoch, 'lost', 'system', 'worker_lost', 'The worker was lost.', 0, j.claimed_at,
        clock_timestamp(), j.due_at
    from jobs j join lost on lost.id = j.id where $2 and cardinality(lost.deaths) < {_DEATHS}
        and not j.cancel_requested
)
update jobs j
set worker_id = null, epoch = j.epoch + 1, revision = revision + 1, deaths = lost.deaths,
    input_tokens = used.input_tokens, output_tokens = used.output_tokens, cached_tokens = used.cached_tokens,
    calls = used.calls, cost_nanos = used.cost_nanos, attempt_cost_nanos = used.attempt_cost_nanos,
    status = case when cancel_requested then 'canceled' when cardinality(lost.deaths) >= {_DEATHS} then 'failed'
        else 'queued' end,
    due_at = case when cancel_requested or cardinality(lost.deaths) >= {_DEATHS} then due_at
        else least(due_at, clock_timestamp()) end,
    error_class = case when cancel_requested then 'input' when cardinality(lost.deaths) >= {_DEATHS} then 'system' end,
    error_code = case when cancel_requested then 'canceled_by_client'
        when cardinality(lost.deaths) >= {_DEATHS} then 'worker_lost' end,
    error_detail = case when cancel_requested then 'Canceled by the client.'
        when cardinality(lost.deaths) >= {_DEATHS} then
            '{_DEATHS} workers died while they ran this job within {_DEATH_WINDOW_H} hours.' end,
    disposition = case when not cancel_requested and cardinality(lost.deaths) >= {_DEATHS} then 'dead_letter' end,
    ended_at = case when cancel_requested or cardinality(lost.deaths) >= {_DEATHS} then clock_timestamp() end,
    expires_at = case when cancel_requested or cardinality(lost.deaths) >= {_DEATHS}
        then clock_timestamp() + make_interval(secs => retain_s) else expires_at end,
    expire_by = case when not cancel_requested and cardinality(lost.deaths) < {_DEATHS} then finish_by end
from lost cross join lateral ({USED.format(job_id="lost.id", attempt="lost.attempt")}) used
where j.id = lost.id and j.epoch = lost.epoch and j.status = 'running'
{_RETURN}
"""
_RUNNING = "select id from jobs where status = 'running' and worker_id = any($1::uuid[]) and parent_id is not null"
# Holds off a worker that comes back until its jobs are taken, so that it then sees what it has lost.
_LOCK_WORKERS = "select id, gone_at is null as alive from workers where id = any($1::uuid[]) order by id for update"
_DEMOTE = f"""
update jobs set lane = 'bulk', revision = revision + 1
where id = $1 and lane <> 'bulk' and (status = 'running' or {_in(Verb.CLAIM)})
returning id
"""
_PROGRESS = """
update jobs set progress_percent = $3, progress_step = $4, revision = revision + 1
where id = $1 and epoch = $2 and status = 'running' returning revision
"""
_READ = "select status, revision from jobs where id = $1 and project_id = $2 for update"


class Controls:
    """The doors for clients and for the house's own loops."""

    def __init__(self, database: Database, render: RenderBody) -> None:
        self._database = database
        self._render = render

    async def cancel(
        self, project_id: UUID, job_id: UUID, revision: int | None = None, *, by: UUID | None = None
    ) -> Moved | Status | Refusal:
        """End an unclaimed job (Moved), flag a running one (Status.RUNNING), or the end state it has already.

        What has an effect is audited under the key `by`; None: no client asked for it.
        """
        async with self._database.transaction() as connection:
            await families.lock_children(connection, [job_id])
            found = await connection.fetchrow(_READ, job_id, project_id)
            status = _checked(found, revision)
            if isinstance(status, Refusal) or status.terminal:
                return status
            if status is Status.RUNNING:
                if await connection.fetch(FLAG, [job_id]):
                    await _noted(connection, project_id, by, "job.canceled", job_id)
                return status
            await _noted(connection, project_id, by, "job.canceled", job_id)
            return (await self._announced(connection, await connection.fetch(CANCEL, [job_id], _CANCELED)))[0]

    async def retry(
        self,
        project_id: UUID,
        job_id: UUID,
        *,
        version: str | None,
        from_start: bool,
        revision: int | None = None,
        idempotency: IdempotencyKey | None = None,
        by: UUID | None = None,
    ) -> Refusal | Outcome | None:
        """Queue a failed, canceled or expired job again, same id; finished steps are kept unless `from_start`.

        Audited under the key `by`.

        An Outcome when the key of an earlier retry came again; only a retry that takes place binds its key.
        """
        async with self._database.transaction() as connection:
            await families.lock_children(connection, [job_id])
            found = await connection.fetchrow(_READ, job_id, project_id)
            if idempotency and (earlier := await owner_of(connection, project_id, idempotency)):
                return earlier.outcome
            status = _checked(found, revision)
            if isinstance(status, Refusal):
                return status
            if status not in sources(Verb.RETRY):
                return Refusal.STATE
            if idempotency:
                await take_key(connection, project_id, idempotency, job_id)
            await _noted(connection, project_id, by, "job.retried", job_id)
            await queue_again(connection, [job_id], self._render, version=version, from_start=from_start)
            return None

    async def demote(self, job_id: UUID) -> bool:
        """Move a job to the bulk lane: nobody waits for it any more. False when it has ended or is there."""
        async with self._database.connection() as connection:
            return await connection.fetchval(_DEMOTE, job_id) is not None

    async def progress(self, job_id: UUID, epoch: int, percent: int, step: str | None) -> int | None:
        """Note how far a running job is; its new revision, None when the fence refuses."""
        async with self._database.connection() as connection:
            found: int | None = await connection.fetchval(_PROGRESS, job_id, epoch, percent, rows.text(step))
        return found

    async def expire_due(self) -> list[Moved]:
        """End unclaimed jobs whose client's clock has run out, at most 1,000."""
        async with self._database.transaction() as connection:
            overdue = [row["id"] for row in await connection.fetch(_OVERDUE)]
            if not overdue:
                return []
            await families.lock_children(connection, overdue)
            return await self._announced(connection, await connection.fetch(_EXPIRE))

    async def recover(
        self, worker_ids: Sequence[UUID], *, died: bool, job_ids: Sequence[UUID] | None = None
    ) -> list[Moved]:
        """Take back the running jobs of these workers, or only `job_ids`; `died` counts a death against each.

        A worker that died and is back by now keeps what it has.
        """
        only = list(job_ids) if job_ids is not None else None
        async with self._database.transaction() as connection:
            rows = await connection.fetch(_LOCK_WORKERS, list(worker_ids)) if died else []
            back = {row["id"] for row in rows if row["alive"]}
            dead = [worker_id for worker_id in worker_ids if worker_id not in back]
            await families.lock_children(connection, [row["id"] for row in await connection.fetch(_RUNNING, dead)])
            return await self._announced(connection, await connection.fetch(_RECOVER, dead, died, only))

    async def _announced(self, connection: Connection, found: list[asyncpg.Record]) -> list[Moved]:
        moved = await families.moved(connection, [moved_of(row) for row in found])
        await announce(connection, moved, SYSTEM_CLOCK.now(), self._render)
        return moved


async def queue_again(
    connection: Connection,
    job_ids: Sequence[UUID],
    render: RenderBody,
    *,
    version: str | None = None,
    from_start: bool = False,
) -> list[Moved]:
    """Start ended jobs again, in the caller's transaction, which has locked them."""
    await connection.execute(_KEEP_ATTEMPT, job_ids)
    await connection.execute(_FORGET_ALL if from_start else _FORGET_FAILED, job_ids)
    again = [moved_of(row) for row in await connection.fetch(_RETRY, job_ids, version)]
    await families.retried(connection, job_ids, from_start=from_start)
    told = [replace(move, event=EventType.JOB_RETRIED) for move in again]
    await announce(connection, told, SYSTEM_CLOCK.now(), render)
    return told


def moved_of(row: asyncpg.Record) -> Moved:
    """The move of a row that came back from one of the statements here."""
    status = Status(row["status"])
    event: EventType | None = END_EVENT.get(status)
    return Moved(
        row["id"],
        row["project_id"],
        status,
        row["revision"],
        row["lane"],
        row["has_webhook"],
        event,
        workflow=row["workflow"],
        error_class=row["error_class"],
        error_code=row["error_code"],
    )


async def _noted(connection: Connection, project_id: UUID, by: UUID | None, action: str, job_id: UUID) -> None:
    if by is not None:
        await note(connection, Act(project_id, by, action, None, 1, [job_id]))


def _checked(row: asyncpg.Record | None, revision: int | None) -> Status | Refusal:
    """The job's state, or why the control does not apply."""
    if row is None:
        return Refusal.NOT_FOUND
    return Refusal.REVISION if revision is not None and row["revision"] != revision else Status(row["status"])
