"""Usage over any span is the sum of the ledger's rows, however far they are added up."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from app.domain import ids
from app.domain.budget import Counter, Kind, Scope
from app.domain.period import Period
from app.store.database import Database
from app.store.ledger import Ledger, Span, Used

_START = datetime(2026, 3, 30, 22, 10, tzinfo=UTC)
_INSERT = """
insert into ledger (call_id, at, project_id, key_id, workflow, version, job_id, step, attempt, provider, model, outcome,
    input_tokens, output_tokens, cached_tokens, cost_nanos, price_known, saved_nanos)
select id, now(), $1, key_id, workflow, '1', gen_random_uuid(), 'ask', 1, 'main', model, outcome, tokens, 1, 0, cost,
    outcome not in ('lost', 'failed'), saved
from unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::int[], $8::bigint[], $9::bigint[])
    as g (id, key_id, workflow, model, outcome, tokens, cost, saved)
"""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the ledger, and when its call began."""

    id: UUID
    at: datetime
    key_id: UUID | None
    workflow: str
    model: str
    outcome: str
    tokens: int
    cost: int
    saved: int

    def counts(self, span: Span) -> bool:
        return span.since <= self.at < span.until


def drawn(chance: random.Random, keys: list[UUID | None]) -> Row:
    at = _START + timedelta(milliseconds=chance.randrange(3 * 86400 * 1000))
    outcome = chance.choice(["succeeded"] * 4 + ["failed", "late", "lost", "cached"])
    cost = 0 if outcome == "cached" else chance.randrange(10**9)
    made = UUID(int=ids.uuid7_floor(int(at.timestamp() * 1000)).int | chance.getrandbits(62))
    # A whole output that was known is no model's.
    model = "" if outcome == "cached" and chance.random() < 0.5 else chance.choice("xy")
    what = (chance.choice(keys), chance.choice("ab"), model, outcome)
    return Row(made, at, *what, chance.randrange(1000), cost, chance.randrange(9) if outcome == "cached" else 0)


def moment(chance: random.Random) -> datetime:
    """Often a full hour, often in the hour of another one."""
    at = _START + timedelta(milliseconds=chance.randrange(-3600_000, 3 * 86400 * 1000 + 3600_000))
    return at.replace(minute=0, second=0, microsecond=0) if chance.random() < 0.4 else at


def summed(rows: list[Row], span: Span, group_by: str) -> dict[str | None, tuple[int, ...]]:
    """What `used` has to tell, from the rows."""
    names = {"day": lambda r: f"{r.at:%Y-%m-%d}", "workflow": lambda r: r.workflow}
    names["model"] = lambda r: f"main/{r.model}" if r.model else "none"
    names["key"] = lambda r: ids.show("key", r.key_id) if r.key_id else "none"
    found: dict[str | None, list[Row]] = {None: []}
    for row in rows:
        if row.counts(span):
            found[None].append(row)
            found.setdefault(names[group_by](row), []).append(row)
    return {name: _sums(group) for name, group in found.items()}


def _sums(rows: list[Row]) -> tuple[int, ...]:
    failed = sum(row.cost for row in rows if row.outcome not in ("succeeded", "cached"))
    uncertain = sum(row.cost for row in rows if row.outcome in ("lost", "failed"))
    calls = sum(row.outcome != "cached" for row in rows)
    return calls, sum(r.tokens for r in rows), sum(r.cost for r in rows), sum(r.saved for r in rows), failed, uncertain


def _told(used: Used) -> tuple[int, ...]:
    money = (used.cost_nanos, used.saved_nanos, used.failed_nanos, used.uncertain_nanos)
    return used.calls, used.input_tokens, *money


async def test_usage_of_any_span(database: Database) -> None:
    chance, ledger, project = random.Random(11), Ledger(database), ids.uuid7()
    keys: list[UUID | None] = [ids.uuid7(), ids.uuid7(), None]
    rows: list[Row] = []
    for _ in range(5):
        new = [drawn(chance, keys) for _ in range(60)]
        values = [(r.id, r.key_id, r.workflow, r.model, r.outcome, r.tokens, r.cost, r.saved) for r in new]
        async with database.connection() as connection:
            await connection.execute(_INSERT, project, *map(list, zip(*values, strict=True)))
        rows += new
        if chance.random() < 0.7:
            await asyncio.gather(ledger.roll(), ledger.roll())
        for _ in range(12):
            since, until = sorted((moment(chance), moment(chance)))
            if chance.random() < 0.3:
                until = since + timedelta(milliseconds=chance.randrange(3600_000))
            group_by = chance.choice(["day", "workflow", "model", "key"])
            found = await ledger.used(project, False, Span(since, until), group_by)
            assert found[-1].group is None
            assert {one.group: _told(one) for one in found} == summed(rows, Span(since, until), group_by)
    assert (await ledger.used(project, True, Span(_START, _START + timedelta(days=9)), "day"))[0].calls == 0


async def test_what_a_counter_has_spent(database: Database) -> None:
    """In each of its scopes and periods, without the calls that are left out."""
    chance, ledger, project = random.Random(5), Ledger(database), ids.uuid7()
    key = ids.uuid7()
    rows = [drawn(chance, [key, None]) for _ in range(200)]
    values = [(r.id, r.key_id, r.workflow, r.model, r.outcome, r.tokens, r.cost, r.saved) for r in rows]
    async with database.connection() as connection:
        await connection.execute(_INSERT, project, *map(list, zip(*values, strict=True)))
    scopes = {
        Scope(project, Kind.PROJECT, "", False): lambda r: True,
        Scope(project, Kind.WORKFLOW, "a", False): lambda r: r.workflow == "a",
        Scope(project, Kind.KEY, key.hex, False): lambda r: r.key_id == key,
    }
    for rolled in (False, True):
        if rolled:
            await ledger.roll()
        for scope, mine in scopes.items():
            for period in Period:
                counter = Counter(scope, period, period.start(moment(chance)))
                span = Span(counter.start, counter.end)
                counted = [row for row in rows if mine(row) and row.counts(span)]
                left_out = counted[::3]
                assert await ledger.spent(counter) == sum(row.cost for row in counted)
                without = [row.id for row in left_out] + [ids.uuid7()]
                rest = sum(row.cost for row in counted) - sum(row.cost for row in left_out)
                assert await ledger.spent(counter, without) == rest
