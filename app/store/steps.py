"""Step records with their calls and ledger rows: written under the job's fence, many jobs in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from app.domain.call import Call, CallOutcome
from app.domain.clock import SYSTEM_CLOCK
from app.domain.errors import ErrorClass, Failure
from app.domain.job import NO_USAGE, Claimed, Usage
from app.domain.step import StepPlace, StepRecord, StepStatus, StepWrite, Via
from app.store import rows
from app.store.coalescer import Coalescer
from app.store.database import Connection, Database
from app.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True)
class _Item:
    job: Claimed
    write: StepWrite

    @property
    def owner(self) -> tuple[UUID, int]:
        """Under whose epoch it is written: one flush may hold writes of a job's present and former owner."""
        return (self.job.id, self.job.epoch)

    @property
    def place(self) -> StepPlace:
        record = self.write.record
        return StepPlace(record.name, record.key, record.span_id)


# FOR SHARE holds off recover, cancel and park until this commits: the fence is tested in the same transaction.
_FENCE = """
select j.id, j.epoch from jobs j join unnest($1::uuid[], $2::int[]) g (id, epoch) on g.id = j.id and g.epoch = j.epoch
where j.status = 'running' or (
    j.status = 'succeeded' and exists (select from mends m where m.job_id = j.id and m.epoch = j.epoch)
)
order by j.id for share of j
"""
_STEPS = """
insert into steps (
    job_id, name, key, kind, status, tries, args_digest, output, error_class, error_code, error_detail, started_at,
    ended_at, attempt, span_id, cached, via
)
select * from unnest(
    $1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::int[], $7::bytea[], $8::bytea[], $9::text[],
    $10::text[], $11::text[], $12::timestamptz[], $13::timestamptz[], $14::int[], $15::text[],
    $16::bool[], $17::text[]
)
on conflict (job_id, name, key) do update set
    status = excluded.status, tries = excluded.tries, args_digest = excluded.args_digest, output = excluded.output,
    error_class = excluded.error_class, error_code = excluded.error_code, error_detail = excluded.error_detail,
    started_at = excluded.started_at, ended_at = excluded.ended_at, attempt = excluded.attempt,
    span_id = excluded.span_id, cached = excluded.cached, via = excluded.via
where steps.status <> 'succeeded' or steps.args_digest <> excluded.args_digest
"""
_CALLS = """
insert into calls (
    id, job_id, step, step_key, step_span_id, attempt, provider, model, pool, outcome, error_code, http_status,
    input_tokens, output_tokens, cached_tokens, cost_nanos, limiter_wait_s, started_at, ended_at, span_id, request,
    answer, saved_nanos
)
select * from unnest(
    $1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::int[], $7::text[], $8::text[], $9::text[],
    $10::text[], $11::text[], $12::int[], $13::int[], $14::int[], $15::int[], $16::bigint[], $17::real[],
    $18::timestamptz[], $19::timestamptz[], $20::text[], $21::bytea[], $22::bytea[], $23::bigint[]
)
on conflict (id) do nothing
"""
_LEDGER = """
insert into ledger (
    call_id, at, project_id, key_id, workflow, version, job_id, step, attempt, provider, model, outcome, input_tokens,
    output_tokens, cached_tokens, cost_nanos, price_known, saved_nanos, step_key, reserved_nanos, test_mode
)
select * from unnest(
    $1::uuid[], $2::timestamptz[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::uuid[], $8::text[], $9::int[],
    $10::text[], $11::text[], $12::text[], $13::int[], $14::int[], $15::int[], $16::bigint[], $17::bool[],
    $18::bigint[], $19::text[], $20::bigint[], $21::bool[]
)
on conflict (call_id) do nothing
"""
_BEGUN = "select exists (select from steps where job_id = $1) or exists (select from calls where job_id = $1)"
_LOAD = "select * from steps where job_id = $1"
# What the recorded calls of a job used in all, and what its present attempt cost.
USED = """
select coalesce(sum(input_tokens), 0)::bigint as input_tokens, coalesce(sum(output_tokens), 0)::bigint as output_tokens,
    coalesce(sum(cached_tokens), 0)::bigint as cached_tokens, count(*) filter (where outcome <> 'cached') as calls,
    coalesce(sum(cost_nanos), 0)::bigint as cost_nanos, coalesce(sum(saved_nanos), 0)::bigint as saved_nanos,
    coalesce(sum(cost_nanos) filter (where attempt = {attempt}), 0)::bigint as attempt_cost_nanos
from calls where job_id = {job_id}
"""
_USED = USED.format(job_id="$1", attempt="$2")


class Steps:
    """The door for step records. `booked` hears of each call that stands in the ledger; it never waits or fails."""

    def __init__(
        self, database: Database, metrics: Metrics | None = None, booked: Callable[[Iterable[UUID]], None] | None = None
    ) -> None:
        self._database = database
        self._booked = booked
        self._metrics = metrics or Metrics(SYSTEM_CLOCK)
        self._coalesce: Coalescer[_Item, bool] = Coalescer(self._flush)

    async def load(self, job_id: UUID) -> list[StepRecord]:
        """All records of a job."""
        async with self._database.connection() as connection:
            return [_record(row) for row in await connection.fetch(_LOAD, job_id)]

    async def used(self, job: Claimed) -> tuple[Usage, int]:
        """What recorded calls of the job used in all, and what its present attempt cost in nano-dollars."""
        if not job.resumed:
            return NO_USAGE, 0
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_USED, job.id, job.attempt)
        return (rows.usage(row), row["attempt_cost_nanos"]) if row else (NO_USAGE, 0)

    async def begun(self, job_id: UUID) -> bool:
        """Whether a step of the job was recorded, or a call."""
        async with self._database.connection() as connection:
            return bool(await connection.fetchval(_BEGUN, job_id))

    async def write(self, job: Claimed, write: StepWrite) -> bool:
        """Store the record with its calls; False when the fence refuses, then only the ledger gets the calls."""
        owned = await self._coalesce(_Item(job, write))
        if owned:
            self._metrics.stepped(job.workflow, write.record)
        self._account(job, write.calls, late=not owned)
        return owned

    async def book(self, job: Claimed, late: Sequence[tuple[StepPlace, Call]]) -> None:
        """Keep calls that no step record holds: they were made and paid for, though their step did not end."""
        async with self._database.transaction() as connection:
            await _insert(connection, _CALLS, [_call(job, place, call) for place, call in late])
            paid = [_paid(job, place, call, owned=False) for place, call in late]
            await _insert(connection, _LEDGER, paid)
        self._account(job, [call for _, call in late], late=True)

    def _account(self, job: Claimed, calls: Sequence[Call], *, late: bool) -> None:
        """The calls stand in the ledger: tell metrics and budgets."""
        self._metrics.called(job.workflow, calls, late=late)
        if self._booked is not None and calls:
            self._booked(call.id for call in calls)

    async def _flush(self, batch: Sequence[_Item]) -> list[bool]:
        async with self._database.transaction() as connection:
            columns = zip(*{(item.job.id, item.job.epoch) for item in batch}, strict=True)
            owned = {(row["id"], row["epoch"]) for row in await connection.fetch(_FENCE, *map(list, columns))}
            kept = [item for item in batch if item.owner in owned]
            await _insert(connection, _STEPS, sorted((_step(item) for item in kept), key=lambda row: row[:3]))
            calls = [_call(item.job, item.place, call) for item in kept for call in item.write.calls]
            await _insert(connection, _CALLS, calls)
            await _insert(connection, _LEDGER, [row for item in batch for row in _ledger(item, item.owner in owned)])
        return [item.owner in owned for item in batch]


async def _insert(connection: Connection, statement: str, columns: Sequence[tuple[object, ...]]) -> None:
    if columns:
        await connection.execute(statement, *map(list, zip(*columns, strict=True)))


def _step(item: _Item) -> tuple[Any, ...]:
    record, error = item.write.record, item.write.record.error
    return (
        item.job.id,
        record.name,
        record.key,
        record.kind,
        str(record.status),
        record.tries,
        record.args_digest,
        record.output,
        str(error.error_class) if error else None,
        rows.text(error.code) if error else None,
        rows.text(error.detail) if error else None,
        record.started_at,
        record.ended_at,
        record.attempt,
        record.span_id,
        record.cached,
        record.via.value if record.via else None,
    )


def _call(job: Claimed, place: StepPlace, call: Call) -> tuple[object, ...]:
    return (
        call.id,
        job.id,
        place.name,
        place.key,
        place.span_id,
        job.attempt,
        call.provider,
        call.model,
        call.pool,
        str(call.outcome),
        rows.text(call.error_code),
        call.http_status,
        call.input_tokens,
        call.output_tokens,
        call.cached_tokens,
        call.cost_nanos,
        call.limiter_wait_s,
        call.started_at,
        call.ended_at,
        call.span_id,
        call.request,
        call.answer,
        call.saved_nanos,
    )


def _ledger(item: _Item, owned: bool) -> list[tuple[object, ...]]:
    return [_paid(item.job, item.place, call, owned) for call in item.write.calls]


def _paid(job: Claimed, place: StepPlace, call: Call, owned: bool) -> tuple[object, ...]:
    return (
        call.id,
        call.ended_at,
        job.project_id,
        job.key_id,
        job.workflow,
        job.version,
        job.id,
        place.name,
        job.attempt,
        call.provider,
        call.model,
        str(_outcome(call, owned)),
        call.input_tokens,
        call.output_tokens,
        call.cached_tokens,
        call.cost_nanos,
        call.price_known,
        call.saved_nanos,
        place.key,
        call.reserved_nanos,
        job.test_mode,
    )


def _outcome(call: Call, owned: bool) -> CallOutcome:
    """A call whose step was not written is late; an answer from a cache was never paid for."""
    return call.outcome if owned or call.outcome is CallOutcome.CACHED else CallOutcome.LATE


def _record(row: asyncpg.Record) -> StepRecord:
    error = None
    if row["error_code"] is not None:
        error = Failure(ErrorClass(row["error_class"]), row["error_code"], row["error_detail"] or "", row["name"])
    return StepRecord(
        row["name"],
        row["key"],
        row["kind"],
        StepStatus(row["status"]),
        row["tries"],
        row["args_digest"],
        row["output"],
        error,
        row["started_at"],
        row["ended_at"],
        row["attempt"],
        row["span_id"],
        row["cached"],
        Via(row["via"]) if row["via"] else None,
    )
