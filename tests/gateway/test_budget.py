"""Budgets on a real Valkey and a real PostgreSQL: many callers, lost counters, dead workers, a Redis that is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from app.domain import ids
from app.domain.budget import Cap, Counter, Kind, Scope, Spender
from app.domain.clock import SYSTEM_CLOCK, Clock, SystemClock
from app.domain.errors import MustWait, ProcessingError
from app.domain.period import Period
from app.gateway.budgets.away import LocalBudgets
from app.gateway.budgets.books import Books
from app.gateway.budgets.budget import Budgets
from app.gateway.budgets.caps import Caps
from app.gateway.budgets.purse import Purse
from app.gateway.budgets.reservation import Reservation
from app.gateway.budgets.till import Till
from app.gateway.redis.reach import RedisAway
from app.settings import BudgetSettings
from app.store.allowances import Allowances
from app.store.database import Database
from app.store.ledger import Ledger, LostCall, Span
from tests.conformance.client_suite import until
from tests.gateway.conftest import open_redis
from tests.supervise.embedded import RunningServer

_ROW = """
insert into ledger (call_id, at, project_id, key_id, workflow, version, job_id, step, attempt, provider, model, outcome,
    input_tokens, output_tokens, cached_tokens, cost_nanos, price_known, reserved_nanos, test_mode)
values ($1, now(), $2, $3, $4, '1', $5, 'ask', 1, 'main', 'mini-1', $6, 10, 5, 0, $7, true, $8, false)
"""


@dataclass
class Process:
    """What one worker process has."""

    budgets: Budgets
    books: Books
    till: Till
    heard: list[tuple[Cap, int]]
    database: Database
    spender: Spender

    async def reserve(self, nanos: int, ttl_s: float = 60) -> Reservation:
        call_id = ids.uuid7()
        lost = LostCall(
            call_id, self.spender.project_id, self.spender.key_id, self.spender.workflow, "1", ids.uuid7(), "ask", "",
            1, "main", "mini-1", nanos, test_mode=False,
        )  # fmt: skip
        caps = await self.budgets.caps(self.spender)
        return await self.budgets.reserve(Reservation(call_id, nanos, caps, ttl_s, lost))

    async def call(self, nanos: int, cost: int) -> None:
        """Reserve, call, settle, write it down, as a worker does."""
        held = await self.reserve(nanos)
        await asyncio.sleep(ids.jitter(0, 0.01))
        self.budgets.settle(held, cost)
        await self.write(held, cost)
        self.budgets.booked([held.call_id])

    async def write(self, held: Reservation, cost: int, outcome: str = "succeeded") -> None:
        """The ledger row of a call."""
        async with self.database.connection() as connection:
            whose = (self.spender.project_id, self.spender.key_id, self.spender.workflow)
            await connection.execute(_ROW, held.call_id, *whose, ids.uuid7(), outcome, cost, held.nanos)

    async def spent(self) -> list[int]:
        """What the counters say."""
        return await self.budgets.spent(await self.budgets.caps(self.spender))


NewProcess = Callable[..., Process]


@pytest.fixture
def spender() -> Spender:
    return Spender(ids.uuid7(), "noop", ids.uuid7(), test_mode=False)


@pytest_asyncio.fixture
async def new_process(
    shared_valkey: RunningServer, prefix: str, database: Database, spender: Spender
) -> AsyncIterator[NewProcess]:
    """Makes processes on the same counters; `budgets` are settings, by name."""
    async with AsyncExitStack() as stack:

        def new(
            server: RunningServer = shared_valkey,
            wait_s: float = 5.0,
            clock: Clock = SYSTEM_CLOCK,
            **budgets: BudgetSettings,
        ) -> Process:
            client = open_redis(server.url)
            stack.push_async_callback(client.aclose)
            till = Till(client, SYSTEM_CLOCK, f"{{{prefix}}}:")
            stack.push_async_callback(till.close)
            ledger = Ledger(database)
            heard: list[tuple[Cap, int]] = []
            caps = Caps(budgets, Allowances(database), clock)
            local = LocalBudgets(ledger, SYSTEM_CLOCK)
            made = Budgets(till, caps, ledger, local, SYSTEM_CLOCK, wait_s, lambda *heard_of: heard.append(heard_of))
            return Process(made, Books(till, ledger, SYSTEM_CLOCK), till, heard, database, spender)

        yield new


def usd(nanos: int) -> BudgetSettings:
    return BudgetSettings(day_usd=f"{nanos / 1e9:.9f}")


async def total(database: Database, project_id: UUID) -> int:
    async with database.connection() as connection:
        found = await connection.fetchval(
            "select coalesce(sum(cost_nanos), 0)::bigint from ledger where project_id = $1", project_id
        )
    return int(found)


@pytest.mark.parametrize("cost", [70, 100, 130])
async def test_64_callers_against_one_small_budget(new_process: NewProcess, spender: Spender, cost: int) -> None:
    """Four processes; each call is reserved at 100. What is spent beyond the cap was in flight when the last began."""
    processes = [new_process(wait_s=30, project=usd(2000)) for _ in range(4)]

    async def caller(process: Process) -> int:
        made = 0
        try:
            while True:
                await process.call(100, cost)
                made += 1
        except MustWait as wait:
            assert wait.reason == "budget"
            return made

    made = sum(await asyncio.gather(*(caller(processes[i % 4]) for i in range(64))))
    spent = made * cost
    assert await total(processes[0].database, spender.project_id) == spent
    assert await processes[0].spent() == [spent]
    # In flight at most 20 calls fit, and each may cost 30 more than was set aside.
    assert 2000 <= spent < 2000 + max(cost, 20 * (cost - 100) + 100)


async def test_without_a_budget_nobody_waits_and_scripts_are_shared(new_process: NewProcess, redis: Redis) -> None:
    process = new_process()
    before = (await redis.info("commandstats")).get("cmdstat_evalsha", {}).get("calls", 0)
    held = await asyncio.gather(*(process.reserve(100) for _ in range(64)))
    for one in held:
        process.budgets.settle(one, 70)
        process.budgets.booked([one.call_id])
    process.budgets.release(await process.reserve(100))
    assert held[0].caps == ()
    await process.till.close()
    assert (await redis.info("commandstats")).get("cmdstat_evalsha", {}).get("calls", 0) - before <= 8
    assert await process.till.ask({"act": "expired", "limit": 10}) == ["expired"]


async def test_a_worker_dies_where_no_budget_is_in_force(new_process: NewProcess, spender: Spender) -> None:
    """What was begun, and what had ended but was not on the books, is booked as lost all the same."""
    dead, alive = new_process(), new_process()
    await dead.reserve(400, ttl_s=0.05)
    dead.budgets.settle(await dead.reserve(400, ttl_s=0.05), 70)
    await dead.call(400, 30)
    await dead.till.close()
    await asyncio.sleep(0.3)
    assert await alive.books.sweep() == 2
    assert await total(alive.database, spender.project_id) == 400 + 70 + 30
    assert await alive.books.sweep() == 0


async def test_the_shortest_period_that_is_spent_is_not_waited_for_alone(new_process: NewProcess) -> None:
    """Hour and day are spent: the wait is for the day."""
    both = BudgetSettings(hour_usd="0.000000100", day_usd="0.000000150", month_usd="1")
    process = new_process(project=both)
    await process.call(100, 200)
    with pytest.raises(MustWait) as caught:
        await process.reserve(10)
    tomorrow = (datetime.now(UTC).timestamp() // 86400 + 1) * 86400
    assert 0 < caught.value.until.timestamp() - tomorrow <= 2.1


async def test_what_is_not_called_is_given_back(new_process: NewProcess) -> None:
    process = new_process(project=usd(100), wait_s=0)
    held = await process.reserve(100)
    with pytest.raises(MustWait):
        await process.reserve(1)
    process.budgets.release(held)
    await process.call(100, 10)
    assert await process.spent() == [10]


async def test_who_is_canceled_at_any_moment_leaves_nothing_behind(new_process: NewProcess) -> None:
    process = new_process(project=usd(100), wait_s=0)
    await process.call(1, 1)
    for _ in range(200):
        asker = asyncio.create_task(process.reserve(60))
        await asyncio.sleep(ids.jitter(0, 0.002))
        asker.cancel()
        (outcome,) = await asyncio.gather(asker, return_exceptions=True)
        if isinstance(outcome, Reservation):
            process.budgets.release(outcome)
    await process.call(99, 10)
    assert await process.spent() == [11]


async def test_redis_flushed_in_mid_run(new_process: NewProcess, redis: Redis, prefix: str) -> None:
    """Counters are read from the ledger again, and calls in flight are counted once when they end."""
    process, other = new_process(project=usd(1000), key=usd(5000)), new_process(project=usd(1000), key=usd(5000))
    for _ in range(3):
        await process.call(100, 60)
    flying = [await process.reserve(100), await other.reserve(100)]
    for name in await redis.keys(f"{{{prefix}}}:*"):
        await redis.delete(name)
    assert await other.spent() == [180, 180]
    for owner, held in zip((process, other), flying, strict=True):
        owner.budgets.settle(held, 90)
        await owner.write(held, 90)
        owner.budgets.booked([held.call_id])
    await until(lambda: not process.till._pending and process.till._pump is None and other.till._pump is None)
    assert await process.spent() == [360, 360]
    assert await process.books.compare() == []
    await process.call(100, 60)
    await until(lambda: not process.till._pending and process.till._pump is None)
    assert await other.spent() == [420, 420]


async def test_seeding_beside_bookings_counts_each_call_once(new_process: NewProcess, spender: Spender) -> None:
    """Counters are forgotten again and again while others spend; in the end they are what the ledger says."""
    processes = [new_process(wait_s=30, project=usd(10**9)) for _ in range(3)]

    async def caller(process: Process) -> None:
        for _ in range(12):
            await process.call(100, 70)

    async def forgetter(process: Process) -> None:
        caps = await process.budgets.caps(spender)
        for _ in range(10):
            await process.till.ask(
                {"act": "forget", "counters": [{"name": cap.counter.name, "cap": 1, "ends": 0} for cap in caps]}
            )
            await asyncio.sleep(0.02)

    await asyncio.gather(*(caller(one) for one in processes for _ in range(6)), forgetter(processes[0]))
    await until(lambda: all(one.till._pump is None for one in processes))
    assert await processes[0].spent() == [await total(processes[0].database, spender.project_id)] == [3 * 6 * 12 * 70]


async def test_a_worker_dies_between_reserve_and_settle(new_process: NewProcess, spender: Spender) -> None:
    """Its reservation comes back and is booked as lost, once; found again it is taken back."""
    dead, alive = new_process(project=usd(1000)), new_process(project=usd(1000))
    held = await dead.reserve(400, ttl_s=0.05)
    await asyncio.sleep(0.1)
    assert 1 <= sum(await asyncio.gather(alive.books.sweep(), alive.books.sweep())) <= 2
    assert await alive.books.sweep() == 0
    assert await alive.spent() == [400]
    used = await Ledger(alive.database).used(spender.project_id, False, _today(), "workflow")
    assert [(one.group, one.calls, one.cost_nanos, one.failed_nanos) for one in used] == [
        ("noop", 1, 400, 400), (None, 1, 400, 400)
    ]  # fmt: skip
    assert await alive.books.compare() == []
    # It was only slow: its row comes after all.
    await dead.write(held, 150)
    await alive.books.find_again()
    assert await total(alive.database, spender.project_id) == 150
    assert await alive.spent() == [150]
    assert await alive.books.compare() == []
    await alive.books.find_again()
    assert await total(alive.database, spender.project_id) == 150


async def test_a_call_that_is_booked_late_is_counted_once(new_process: NewProcess, spender: Spender) -> None:
    """It has told what it cost; its row comes after others took it for lost, and so does the word that it is there."""
    slow, alive = new_process(project=usd(1000)), new_process(project=usd(1000))
    held = await slow.reserve(400, ttl_s=0.05)
    slow.budgets.settle(held, 150)
    await until(lambda: slow.till._pump is None)
    await asyncio.sleep(0.3)
    assert await alive.books.sweep() == 1
    await slow.write(held, 150)
    slow.budgets.booked([held.call_id])
    await until(lambda: slow.till._pump is None)
    await alive.books.find_again()
    assert await alive.spent() == [150] == [await total(alive.database, spender.project_id)]


async def test_a_worker_dies_between_the_ledger_and_the_counter(new_process: NewProcess) -> None:
    dead, alive = new_process(project=usd(1000)), new_process(project=usd(1000))
    held = await dead.reserve(400, ttl_s=0.05)
    await dead.write(held, 150)
    await asyncio.sleep(0.1)
    assert await alive.books.sweep() == 0
    assert await alive.spent() == [150]


async def test_a_counter_that_is_wrong_is_corrected(new_process: NewProcess, redis: Redis, prefix: str) -> None:
    process = new_process(project=usd(10**6))
    await process.call(100, 60)
    (name,) = [key for key in await redis.keys(f"{{{prefix}}}:day:*")]
    for wrong, drift in ((1060, 1000), (20, -40)):
        await redis.hset(name, "spent", str(wrong))  # type: ignore[misc]
        assert [one.nanos for one in await process.books.compare()] == [drift]
        assert await process.spent() == [60]
    assert await process.books.compare() == []


async def test_many_counters_are_compared_in_portions(
    new_process: NewProcess, redis: Redis, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No step of the script, while which Redis serves nobody else, reads more than 200 of them."""
    process, now = new_process(), datetime.now(UTC)
    scopes = [Scope(process.spender.project_id, Kind.WORKFLOW, f"w{n}", False) for n in range(450)]
    names = [Counter(scope, Period.DAY, Period.DAY.start(now)).name for scope in scopes]
    await redis.zadd(f"{{{prefix}}}:counters", dict.fromkeys(names, now.timestamp() * 1000))
    for n, name in enumerate(names[:-1]):
        await redis.hset(f"{{{prefix}}}:{name}", mapping={"spent": n % 2, "open": 0})  # type: ignore[misc]
    read, ask = [], process.till.ask

    async def heard(step: dict[str, Any]) -> list[str]:
        read.append(len(step.get("counters", ())))
        return await ask(step)

    monkeypatch.setattr(process.till, "ask", heard)
    assert {one.counter.name for one in await process.books.compare()} == set(names[1:-1:2])
    assert max(read) <= 200 and sum(read) == 450 + 449


async def test_redis_away(new_process: NewProcess, own_valkey: RunningServer, spender: Spender) -> None:
    """The ledger decides meanwhile; on its return counters are read from there."""
    process = new_process(own_valkey, wait_s=0, project=usd(300))
    await process.call(100, 90)
    own_valkey.stop()
    await process.call(100, 90)
    assert process.till.away
    held = await process.reserve(100)
    with pytest.raises(MustWait):
        await process.reserve(100)
    own_valkey.start()
    await until(lambda: not process.till.away)
    process.budgets.settle(held, 90)
    await process.write(held, 90)
    process.budgets.booked([held.call_id])
    await until(lambda: process.till._pump is None)
    assert await process.spent() == [270] == [await total(process.database, spender.project_id)]
    await process.call(100, 90)
    with pytest.raises(MustWait):
        await process.reserve(1)


async def test_what_was_spent_while_redis_was_away_is_counted_once(
    new_process: NewProcess, own_valkey: RunningServer, spender: Spender
) -> None:
    """It is told in several scripts, and others read the counters from the ledger between them."""
    cap = 10**9
    process, other = (new_process(own_valkey, project=usd(cap)) for _ in range(2))
    await process.call(100, 90)
    own_valkey.stop()
    flying = await asyncio.gather(*(process.reserve(100) for _ in range(1500)))
    assert process.till.away
    for held in flying:
        process.budgets.settle(held, 90)
    for held in flying:
        await process.write(held, 90)
        process.budgets.booked([held.call_id])
    own_valkey.start()
    await until(lambda: not process.till.away)
    while process.till._pump is not None:
        with suppress(RedisAway):
            await other.spent()
        await asyncio.sleep(0)
    await until(lambda: not other.till.away)
    assert await other.spent() == [1501 * 90] == [await total(process.database, spender.project_id)]


class Wrong(SystemClock):
    """A clock that is off by so much."""

    def __init__(self, **off: float) -> None:
        self._off = timedelta(**off)

    def now(self) -> datetime:
        return super().now() + self._off


async def test_a_clock_that_jumped_spends_in_no_other_period(new_process: NewProcess) -> None:
    """A second is nothing; a worker that lives in another day waits."""
    right = new_process(project=usd(1000))
    await right.call(100, 60)
    for off in (timedelta(days=1), timedelta(days=-1)):
        wrong = new_process(clock=Wrong(days=off.days), project=usd(1000))
        with pytest.raises(MustWait):
            await wrong.reserve(100)
        assert wrong.budgets._unbooked == {}
    near = new_process(clock=Wrong(seconds=1), project=usd(1000))
    near.budgets.release(await near.reserve(100))
    assert await right.spent() == [60]


async def test_scopes_count_apart(new_process: NewProcess, spender: Spender) -> None:
    budgets = {"project": usd(1000), "workflow/noop": usd(500), "workflow/other": usd(1), "key": usd(200)}
    process = new_process(**budgets)
    caps = await process.budgets.caps(spender)
    assert sorted((cap.counter.scope.kind.value, cap.nanos) for cap in caps) == [
        ("key", 200), ("project", 1000), ("workflow", 500)
    ]  # fmt: skip
    await process.call(100, 210)
    spent = await process.budgets.spent_cap(spender)
    assert spent is not None and spent.shown == f"day budget of key {ids.show('key', spender.key_id or UUID(int=0))}"
    assert not await process.budgets.tight(Spender(spender.project_id, "noop", None, test_mode=False))
    assert {nanos for _, nanos in process.heard} == {0, 210}


async def test_what_others_spent_is_read_by_who_has_not_heard_of_it(new_process: NewProcess) -> None:
    """Calls that can wait go where they are cheap from 80 % on, in every process."""
    one, other = new_process(project=usd(1000)), new_process(project=usd(1000))
    assert not await other.budgets.tight(other.spender)
    await one.call(100, 850)
    other.budgets._shares = {counter: (share, at - 1.1) for counter, (share, at) in other.budgets._shares.items()}
    assert await other.budgets.tight(other.spender)
    assert await one.budgets.tight(one.spender)


async def test_the_purse_of_a_run() -> None:
    """Of 64 callers in one run only what fits flies; the cap is passed by one call at most."""
    spent = 0
    purse = Purse(1000, lambda: spent)

    async def caller() -> bool:
        nonlocal spent
        try:
            await purse.reserve(100)
        except ProcessingError as error:
            assert error.code == "cost_cap_reached"
            return False
        await asyncio.sleep(0)
        spent += 90
        purse.release(100)
        return True

    made = sum(await asyncio.gather(*(caller() for _ in range(64))))
    assert made == 12 and 1000 <= spent < 1100


def _today() -> Span:
    now = datetime.now(UTC)
    return Span(now.replace(hour=0, minute=0, second=0, microsecond=0), now.replace(hour=23, minute=59))
