"""The ledger as it is read: what was spent in a period, and by whom over months; and the rows of lost calls.

A sum over months would read a row for each call. So every row is added once to `usage_hours`, an hour's calls of one
workflow, key and model in one row: whoever keeps the books takes all rows whose transactions are over, from the place
where the last one ended (`bookkeeping.rolled`), in the order of transactions, so that none is skipped and none taken
twice. A sum is then full hours from there, and from the ledger only rows after that place and those of a broken hour
at either end. The time of a call is the time of its id, so one that ends in the next hour is counted in one place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from app.domain import ids
from app.domain.budget import Counter, Spender
from app.domain.call import CallOutcome
from app.store.database import Database
from app.store.numbers import SETTLED

# Any number that no one else locks: one process adds the ledger's rows to the hours.
ROLL_LOCK = 0x1ED6E4
_NO_KEY = UUID(int=0)


def ms_of(id: str) -> str:
    """SQL for the milliseconds since 1970 in a UUIDv7."""
    return f"('x' || lpad(left(replace({id}::text, '-', ''), 12), 16, '0'))::bit(64)::bigint"


# The hour in which a call began.
HOUR = f"to_timestamp({ms_of('call_id')} / 3600000 * 3600)"
# What a row adds: an answer from a cache is no call, what was lost and found again is none either.
CALLS_MADE = "case outcome when 'cached' then 0 when 'found' then -1 else 1 end"
_FAILED = "case when outcome in ('succeeded', 'cached') then 0 else cost_nanos end"
# What nobody knows to have been charged: a price or a count of tokens that had to be assumed.
UNCERTAIN = "case when price_known then 0 else cost_nanos end"
_ADDED = (
    "calls", "input_tokens", "output_tokens", "cached_tokens", "cost_nanos", "saved_nanos", "failed_nanos",
    "uncertain_nanos",
)  # fmt: skip
_ROW = f"""{CALLS_MADE} as calls, input_tokens, output_tokens, cached_tokens, cost_nanos, saved_nanos,
    {_FAILED} as failed_nanos, {UNCERTAIN} as uncertain_nanos"""
_SUMS = ", ".join(f"coalesce(sum({name}), 0)::bigint as {name}" for name in _ADDED)
_WHOSE = "project_id, hour, test_mode, workflow, key_id, provider, model"


def _adding(rows: str) -> str:
    """SQL that adds these rows of the ledger to the hours."""
    return f"""insert into usage_hours as h ({_WHOSE}, {", ".join(_ADDED)})
    select project_id, {HOUR}, test_mode, workflow, coalesce(key_id, '{_NO_KEY}'), provider, model, {_SUMS}
    from (select ledger.*, {_FAILED} as failed_nanos, {UNCERTAIN} as uncertain_nanos, {CALLS_MADE} as calls
        from {rows}) row
    group by 1, 2, 3, 4, 5, 6, 7 order by 1, 2, 3, 4, 5, 6, 7
    on conflict ({_WHOSE}) do update set {", ".join(f"{name} = h.{name} + excluded.{name}" for name in _ADDED)}"""


_ROLL = f"""
with place as (
    select rolled, {SETTLED} as until from bookkeeping
), added as (
    {_adding("ledger, place where ledger.xid >= place.rolled and ledger.xid < place.until")}
    returning hour
)
update bookkeeping set rolled = place.until from place where exists (select from added)
"""
# All hours of which the ledger has the rows, anew.
FORGET_ALL = f"delete from usage_hours where hour >= (select {HOUR} from ledger order by call_id limit 1)"
ADD_ALL = _adding("ledger")
# $1 project, $2 test mode, $3 and $4 from and to, $5 to $8 the same as ids, of the full hours first.
_PARTS = f"""
    select hour, workflow, key_id, provider, model, {", ".join(_ADDED)} from usage_hours
    where project_id = $1 and test_mode = $2 and hour >= $3 and hour < $4
    union all
    select {HOUR}, workflow, coalesce(key_id, '{_NO_KEY}'), provider, model, {_ROW} from ledger
    where xid >= (select rolled from bookkeeping) and project_id = $1 and test_mode = $2
        and call_id >= $5 and call_id < $6
    union all
    select {HOUR}, workflow, coalesce(key_id, '{_NO_KEY}'), provider, model, {_ROW} from ledger
    where project_id = $1 and test_mode = $2
        and ((call_id >= $7 and call_id < least($5, $8)) or (call_id >= $6 and call_id < $8))
"""
_SPENT = f"""
select coalesce(sum(cost_nanos), 0)::bigint - coalesce((
    select sum(cost_nanos) from ledger where call_id = any($11::uuid[])
), 0)::bigint
from ({_PARTS}) part
where ($9::text is null or workflow = $9) and ($10::uuid is null or key_id = $10)
"""
_GROUPS = {
    "day": "to_char(hour at time zone 'UTC', 'YYYY-MM-DD')",
    "workflow": "workflow",
    # What an output that was known has saved is no model's.
    "model": "case when model = '' then 'none' else provider || '/' || model end",
    "key": "key_id::text",
}
_LOSE = f"""
insert into ledger (
    call_id, of_call, at, project_id, key_id, workflow, version, job_id, step, step_key, attempt, provider, model,
    outcome, input_tokens, output_tokens, cached_tokens, cost_nanos, price_known, reserved_nanos, test_mode
)
select $1, $2, clock_timestamp(), $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, '{CallOutcome.LOST}', 0, 0, 0, $13, false,
    $13, $14
where not exists (select from ledger where call_id = $2)
on conflict (call_id) do nothing
returning call_id
"""
_LOST = "select exists (select from ledger where call_id = $1)"
_FIND = f"""
insert into ledger (
    call_id, of_call, at, project_id, key_id, workflow, version, job_id, step, step_key, attempt, provider, model,
    outcome, input_tokens, output_tokens, cached_tokens, cost_nanos, price_known, reserved_nanos, test_mode
)
select g.id, l.of_call, clock_timestamp(), l.project_id, l.key_id, l.workflow, l.version, l.job_id, l.step, l.step_key,
    l.attempt, l.provider, l.model, '{CallOutcome.FOUND}', 0, 0, 0, -l.cost_nanos, false, -l.reserved_nanos, l.test_mode
from unnest($1::uuid[], $2::uuid[]) as g (id, lost) join ledger l on l.call_id = g.lost
on conflict (call_id) do nothing
returning of_call, project_id, workflow, key_id, test_mode, cost_nanos
"""
# $1 is the first id of a time: who looks often must not meet all that were ever lost.
_AGAIN = f"""
select l.call_id, l.of_call from ledger l
where l.of_call >= $1 and l.outcome = '{CallOutcome.LOST}'
    and exists (select from ledger c where c.call_id = l.of_call)
    and not exists (select from ledger f where f.of_call = l.of_call and f.outcome = '{CallOutcome.FOUND}')
limit 1000
"""
_OF_JOB = """
select l.step, l.step_key, l.attempt, l.provider, l.model, l.outcome, l.at, l.input_tokens, l.output_tokens,
    l.cached_tokens, l.cost_nanos, l.saved_nanos, l.reserved_nanos, l.price_known, c.error_code,
    coalesce(c.limiter_wait_s, 0)::float8 as limiter_wait_s
from ledger l left join calls c on c.id = l.call_id where l.job_id = $1 order by l.call_id
"""
_TURN = """
update bookkeeping set at = clock_timestamp() where at < clock_timestamp() - make_interval(secs => $1) returning at
"""
_COMPARE = """
update bookkeeping set compared_at = clock_timestamp()
where compared_at < clock_timestamp() - make_interval(secs => $1) returning compared_at
"""


@dataclass(frozen=True, slots=True)
class LostCall:
    """A call that was begun and of which no more was heard: what was reserved for it is taken as its cost."""

    id: UUID
    project_id: UUID
    key_id: UUID | None
    workflow: str
    version: str
    job_id: UUID
    step: str
    step_key: str
    attempt: int
    provider: str
    model: str
    reserved_nanos: int
    test_mode: bool


@dataclass(frozen=True, slots=True)
class FoundCall:
    """A call that was booked as lost at so many nano-dollars, and was booked by its worker too."""

    id: UUID
    spender: Spender
    nanos: int


@dataclass(frozen=True, slots=True)
class Charged:
    """A row of the ledger, with what the call itself tells of its end and of its wait for the limiter."""

    step: str
    step_key: str
    attempt: int
    provider: str
    model: str
    outcome: str
    at: datetime
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_nanos: int
    saved_nanos: int
    reserved_nanos: int
    price_known: bool
    error_code: str | None
    limiter_wait_s: float


@dataclass(frozen=True, slots=True)
class Used:
    """What a group of calls used; `group` is a day, a workflow, `provider/model` or a key's id, and None for all."""

    group: str | None
    calls: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_nanos: int
    saved_nanos: int
    failed_nanos: int
    uncertain_nanos: int


@dataclass(frozen=True, slots=True)
class Span:
    """From a moment up to another, with the full hours between them."""

    since: datetime
    until: datetime

    @property
    def bounds(self) -> tuple[datetime, datetime, UUID, UUID, UUID, UUID]:
        """The full hours, the same as ids, and the whole as ids."""
        first = _hour(self.since + timedelta(hours=1) - timedelta(microseconds=1))
        last = max(first, _hour(self.until))
        return first, last, _floor(first), _floor(last), _floor(self.since), _floor(self.until)


class Ledger:
    """The reading door. Every method raises StoreAway."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take_turn(self, interval_s: float) -> bool:
        """Whether this process is to keep the books now: one of all is, each `interval_s`."""
        async with self._database.connection() as connection:
            return await connection.fetchval(_TURN, interval_s) is not None

    async def take_compare(self, interval_s: float) -> bool:
        """Whether counters are to be compared now."""
        async with self._database.connection() as connection:
            return await connection.fetchval(_COMPARE, interval_s) is not None

    async def roll(self) -> None:
        """Add what is new to the hours."""
        async with self._database.transaction() as connection:
            if await connection.fetchval("select pg_try_advisory_xact_lock($1)", ROLL_LOCK):
                await connection.execute(_ROLL)

    async def spent(self, counter: Counter, without: Sequence[UUID] = ()) -> int:
        """What the counter's calls cost in nano-dollars, without these calls."""
        scope = counter.scope
        bounds = Span(counter.start, counter.end).bounds
        which = (scope.workflow, scope.key_id, list(without))
        async with self._database.connection() as connection:
            return int(await connection.fetchval(_SPENT, scope.project_id, scope.test_mode, *bounds, *which))

    async def used(self, project_id: UUID, test_mode: bool, span: Span, group_by: str) -> list[Used]:
        """What a project used, by `day`, `workflow`, `model` or `key`, in their order; the sum of all comes last."""
        group = _GROUPS[group_by]
        statement = f"""select grouping({group}) as whole, {group} as name, {_SUMS} from ({_PARTS}) part
            group by grouping sets (({group}), ()) order by 1, 2"""
        async with self._database.connection() as connection:
            found = await connection.fetch(statement, project_id, test_mode, *span.bounds)
        return [_used(row) for row in found]

    async def of_job(self, job_id: UUID) -> list[Charged]:
        """Everything that a job was charged for, in the order in which it was begun."""
        async with self._database.connection() as connection:
            return [Charged(*row) for row in await connection.fetch(_OF_JOB, job_id)]

    async def lose(self, call: LostCall) -> bool:
        """Write what a call that nobody books was reserved at; False where the ledger has the call itself."""
        lost = ids.derived_uuid7(call.id, 1)
        values = (
            call.project_id, call.key_id, call.workflow, call.version, call.job_id, call.step, call.step_key,
            call.attempt, call.provider, call.model, call.reserved_nanos, call.test_mode,
        )  # fmt: skip
        async with self._database.connection() as connection:
            if await connection.fetchval(_LOSE, lost, call.id, *values) is not None:
                return True
            return bool(await connection.fetchval(_LOST, lost))

    async def find_again(self, since: datetime) -> list[FoundCall]:
        """Take back the rows of lost calls that began since then and were booked after all."""
        async with self._database.connection() as connection:
            found = await connection.fetch(_AGAIN, _floor(since))
            if not found:
                return []
            again = [ids.derived_uuid7(row["of_call"], 2) for row in found]
            taken = await connection.fetch(_FIND, again, [row["call_id"] for row in found])
        return [_found(row) for row in taken]


def _found(row: asyncpg.Record) -> FoundCall:
    spender = Spender(row["project_id"], row["workflow"], row["key_id"], row["test_mode"])
    return FoundCall(row["of_call"], spender, -row["cost_nanos"])


def _used(row: asyncpg.Record) -> Used:
    values: dict[str, Any] = {name: row[name] for name in _ADDED}
    return Used(None if row["whole"] else _shown(row["name"]), **values)


def _shown(name: str) -> str:
    """A key's id as clients know it; anything else as it is."""
    try:
        key_id = UUID(name)
    except ValueError:
        return name
    return ids.show("key", key_id) if key_id != _NO_KEY else "none"


def _hour(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _floor(moment: datetime) -> UUID:
    return ids.uuid7_floor(int(moment.timestamp() * 1000))
