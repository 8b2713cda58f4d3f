"""A worker leaves a job: settled or parked, in one fenced transaction with output, events and outbox."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.domain import canonical, ids
from app.domain.clock import SYSTEM_CLOCK
from app.domain.errors import Disposition, Failure
from app.domain.event import EventType
from app.domain.job import NO_USAGE, Claimed, Known, Reason, Said, Status, Usage, Verb, allowed
from app.store import families, mends, rows
from app.store.announce import Moved, RenderBody, announce
from app.store.coalescer import Coalescer
from app.store.database import Connection, Database
from app.store.savings import book_savings

END_EVENT = {
    Status.SUCCEEDED: EventType.JOB_SUCCEEDED,
    Status.FAILED: EventType.JOB_FAILED,
    Status.CANCELED: EventType.JOB_CANCELED,
    Status.EXPIRED: EventType.JOB_EXPIRED,
}


@dataclass(frozen=True, slots=True)
class Leave:
    """How a worker leaves a job. `usage` is the job's total, `attempt_cost_nanos` that of this attempt.

    A charged park ends the attempt: the next claim is attempt + 1. `said` is progress that is not written yet.
    `mend_after_s`: the job has succeeded without some of its steps, which are to be tried again after so long.
    `pool`: whose turn a park waits for.
    """

    job: Claimed
    status: Status
    reason: Reason | None = None
    due_at: datetime | None = None
    output: bytes | None = None
    error: Failure | None = None
    disposition: Disposition | None = None
    degraded: tuple[object, ...] = ()
    usage: Usage = NO_USAGE
    attempt_cost_nanos: int = 0
    charged: bool = False
    said: Said | None = None
    known: Known | None = None
    mend_after_s: float | None = None
    pool: str | None = None

    @property
    def owner(self) -> tuple[UUID, int]:
        """The job and the epoch under which it is left."""
        return (self.job.id, self.job.epoch)

    @property
    def verb(self) -> Verb:
        """Whether this ends the job or parks it."""
        return Verb.SETTLE if self.status.terminal else Verb.PARK

    @property
    def concerns_children(self) -> bool:
        """Whether it waits for children, or leaves some behind that must follow."""
        return self.reason is Reason.CHILDREN or self.status in families.TAKES_CHILDREN

    @property
    def concerns_others(self) -> bool:
        """Whether other rows are to be written with it."""
        return self.concerns_children or self.known is not None or self.mend_after_s is not None

    @property
    def event(self) -> EventType | None:
        """What clients are told."""
        return END_EVENT.get(self.status) or (EventType.JOB_ATTEMPT_FAILED if self.charged else None)


# A job that parks for ever does not fill the table: of more parks than this only the time in all is known.
_MOST_EPOCHS = 200

# All children of one of its spawns have ended by now: nobody will make it due.
_ALONE = "exists (select from spawns s where s.parent_id = j.id and not s.retired and s.awaited and s.open = 0)"

_LEAVE = f"""
with given as (
    select * from unnest(
        $1::uuid[], $2::int[], $3::text[], $4::text[], $5::timestamptz[], $6::uuid[], $7::bytea[], $8::text[],
        $9::text[], $10::text[], $11::text[], $12::text[], $13::bytea[], $14::bigint[], $15::bigint[], $16::bigint[],
        $17::int[], $18::bigint[], $19::bigint[], $20::bigint[], $21::bool[], $22::smallint[], $23::text[],
        $24::uuid[], $25::text[], $26::uuid[], $27::real[], $28::text[]
    ) as g (
        id, epoch, status, reason, due_at, output_id, output, error_class, error_code, error_detail, error_step,
        disposition, degraded, input_tokens, output_tokens, cached_tokens, calls, cost_nanos, saved_nanos,
        attempt_cost_nanos, charged, percent, doing, event_id, event, source_job_id, source_age_s,
        pool
    )
), owned as (
    select j.id, j.epoch from jobs j join given g on g.id = j.id and g.epoch = j.epoch
    where j.status = 'running' and not (g.due_at is not null and j.cancel_requested)
    order by j.id for no key update of j
), ended as (
    insert into attempts (
        job_id, n, epoch, status, error_class, error_code, error_detail, error_step, cost_nanos, started_at, ended_at,
        reason, due_at
    )
    select j.id, j.attempt, j.epoch, case when g.charged then 'failed' else '{rows.PARKED}' end, g.error_class,
        g.error_code, g.error_detail, g.error_step, g.attempt_cost_nanos, j.claimed_at, clock_timestamp(), g.reason,
        j.due_at
    from jobs j join owned o on o.id = j.id join given g on g.id = o.id and g.epoch = o.epoch
    where g.charged or (g.due_at is not null and j.epoch < {_MOST_EPOCHS})
), moved as (
    update jobs j
    set status = g.status, reason = g.reason, pool = g.pool, worker_id = null, revision = j.revision + 1,
        epoch = j.epoch + (case when g.due_at is null then 0 else 1 end),
        due_at = case when g.reason = 'children' and {_ALONE} then clock_timestamp()
            else coalesce(g.due_at, j.due_at) end, output_id = g.output_id, error_class = g.error_class,
        error_code = g.error_code, error_detail = g.error_detail, error_step = g.error_step,
        disposition = g.disposition, degraded = g.degraded, input_tokens = g.input_tokens,
        output_tokens = g.output_tokens, cached_tokens = g.cached_tokens, calls = g.calls, cost_nanos = g.cost_nanos,
        saved_nanos = g.saved_nanos, source_job_id = g.source_job_id, source_age_s = g.source_age_s,
        attempt = j.attempt + g.charged::int,
        attempt_cost_nanos = case when g.charged then 0 else g.attempt_cost_nanos end,
        claimed_at = case when g.charged then null else j.claimed_at end,
        cancel_requested = false, progress_percent = coalesce(g.percent, j.progress_percent),
        progress_step = case when g.percent is null then j.progress_step else g.doing end,
        expire_by = case when g.due_at is not null then j.finish_by end,
        ended_at = case when g.due_at is null then clock_timestamp() end,
        expires_at = case when g.due_at is null then clock_timestamp() + make_interval(secs => j.retain_s)
            else j.expires_at end
    from given g join owned o on o.id = g.id and o.epoch = g.epoch where j.id = o.id
    returning j.id, g.epoch, j.project_id, j.status, j.revision, j.lane, j.has_webhook, g.output_id, g.output,
        g.event_id, g.event
), kept as (
    insert into payloads (id, job_id, body)
    select output_id, id, output from moved where output_id is not null
), told as (
    insert into events (id, project_id, job_id, type, at, revision)
    select event_id, project_id, id, event, clock_timestamp(), revision from moved
    where event is not null and not has_webhook
)
select id, epoch, project_id, status, revision, lane, has_webhook from moved
"""


class Leaves:
    """The door by which workers give jobs back."""

    def __init__(self, database: Database, render: RenderBody) -> None:
        self._database = database
        self._render = render
        self._coalesce: Coalescer[Leave, Moved | None] = Coalescer(self._flush)

    async def leave(self, leave: Leave) -> Moved | None:
        """Write it; None when the fence refuses. Raises StoreAway.

        The fence refuses when the job is no longer this worker's, and a park of a job that was told to cancel.
        """
        if not allowed(leave.verb, Status.RUNNING, leave.status):
            raise ValueError(f"no transition from running to {leave.status}")
        return await self._coalesce(leave)

    async def _flush(self, batch: Sequence[Leave]) -> list[Moved | None]:
        first: dict[tuple[UUID, int], Leave] = {}
        for leave in batch:
            first.setdefault(leave.owner, leave)
        if any(leave.job.parent_id or leave.job.has_webhook or leave.concerns_others for leave in batch):
            moved = await self._write_with_others(list(first.values()))
        else:
            async with self._database.connection() as connection:
                moved = await self._write(connection, list(first.values()))
        return [moved.get(leave.owner) if first[leave.owner] is leave else None for leave in batch]

    async def _write_with_others(self, batch: Sequence[Leave]) -> dict[tuple[UUID, int], Moved]:
        """In one transaction with what the moves mean for parents, children and webhooks."""
        parents = {leave.job.parent_id for leave in batch if leave.job.parent_id}
        in_family = bool(parents) or any(leave.concerns_children for leave in batch)
        async with self._database.transaction() as connection:
            if in_family:
                await families.lock(connection, [leave.job.id for leave in batch], parents)
            moved = await self._write(connection, batch)
            if in_family:
                moved = dict(zip(moved, await families.moved(connection, list(moved.values())), strict=True))
            hooked = [move for move in moved.values() if move.has_webhook]
            await announce(connection, hooked, SYSTEM_CLOCK.now(), self._render)
            known = [(leave.job, leave.known.saved_nanos) for leave in batch if leave.known and leave.owner in moved]
            await book_savings(connection, known)
            await mends.schedule(connection, _to_mend(batch, moved))
        return moved

    async def _write(self, connection: Connection, batch: Sequence[Leave]) -> dict[tuple[UUID, int], Moved]:
        """By owner: one flush may hold the leaves of a job's present and former one."""
        columns = zip(*(_columns(leave) for leave in batch), strict=True)
        events = {leave.owner: leave.event for leave in batch}
        return {
            (row["id"], row["epoch"]): Moved(
                row["id"],
                row["project_id"],
                Status(row["status"]),
                row["revision"],
                row["lane"],
                row["has_webhook"],
                events[row["id"], row["epoch"]],
            )
            for row in await connection.fetch(_LEAVE, *map(list, columns))
        }


def _to_mend(batch: Sequence[Leave], moved: Collection[tuple[UUID, int]]) -> list[tuple[UUID, float]]:
    return [
        (leave.job.id, leave.mend_after_s) for leave in batch if leave.mend_after_s is not None and leave.owner in moved
    ]


def _columns(leave: Leave) -> tuple[object, ...]:
    error, usage = leave.error, leave.usage
    return (
        leave.job.id,
        leave.job.epoch,
        str(leave.status),
        str(leave.reason) if leave.reason else None,
        leave.due_at,
        ids.uuid7() if leave.output is not None else None,
        leave.output,
        str(error.error_class) if error else None,
        rows.text(error.code) if error else None,
        rows.text(error.detail) if error else None,
        rows.text(error.step) if error else None,
        str(leave.disposition) if leave.disposition else None,
        canonical.dump(list(leave.degraded)) if leave.degraded else None,
        usage.input_tokens,
        usage.output_tokens,
        usage.cached_tokens,
        usage.calls,
        usage.cost_nanos,
        usage.saved_nanos,
        leave.attempt_cost_nanos,
        leave.charged,
        leave.said[0] if leave.said else None,
        rows.text(leave.said[1]) if leave.said else None,
        ids.uuid7() if leave.event else None,
        str(leave.event) if leave.event else None,
        leave.known.source_job_id if leave.known else None,
        leave.known.age_s if leave.known else None,
        leave.pool,
    )
