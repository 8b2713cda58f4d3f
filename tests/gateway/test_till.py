"""The till and what decides without it: nobody waits for ever, nobody's context leaks, no race passes a cap."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextvars import ContextVar

import pytest_asyncio
from redis.asyncio import Redis

from app.domain import ids
from app.domain.budget import Cap, Counter, Kind, Scope, Spender
from app.domain.clock import SYSTEM_CLOCK
from app.domain.errors import SystemFault
from app.domain.period import Period
from app.gateway.budgets.away import LocalBudgets
from app.gateway.budgets.money import Money
from app.gateway.budgets.prices import Prices
from app.gateway.budgets.reservation import Charge, Reservation, told
from app.gateway.budgets.till import Till
from app.gateway.calls.routes import Routes
from app.gateway.funds import Funds
from app.settings import BudgetSettings
from app.store.database import Database
from app.store.ledger import Ledger
from tests.gateway.asking import request, settings_for

WHOSE: ContextVar[str | None] = ContextVar("whose", default=None)


@pytest_asyncio.fixture
async def till(redis: Redis, prefix: str) -> AsyncIterator[Till]:
    made = Till(redis, SYSTEM_CLOCK, f"{{{prefix}}}:")
    yield made
    await made.close()


def caps(hour_nanos: int = 1000, day_nanos: int = 10**9) -> tuple[Cap, ...]:
    """Of a project that nobody else has."""
    scope, now = Scope(ids.uuid7(), Kind.PROJECT, "", test_mode=False), SYSTEM_CLOCK.now()
    given = ((Period.HOUR, hour_nanos), (Period.DAY, day_nanos))
    return tuple(Cap(Counter(scope, period, period.start(now)), nanos, hold=False) for period, nanos in given)


async def test_whatever_stops_the_till_nobody_waits_on(till: Till) -> None:
    """A step that cannot even be written down fails those that were to go with it, and no others."""
    counters = [told(cap) for cap in caps()]
    reading = {"act": "read", "counters": counters}
    asked = [asyncio.create_task(till.ask(step)) for step in (reading, {"act": "read", "counters": object()}, reading)]
    async with asyncio.timeout(10):
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(one) for one in outcomes] == [SystemFault] * 3
    assert await till.ask(reading) == ["read", "", ""]


async def test_the_till_sends_for_all_in_nobodys_context(till: Till) -> None:
    WHOSE.set("the first caller's")
    heard: list[str | None] = []
    step = {"act": "read", "counters": [told(cap) for cap in caps()]}
    till.tell(step, lambda _: heard.append(WHOSE.get()))
    await till.ask(step)
    assert heard == [None]


async def test_while_redis_is_away_callers_at_once_keep_to_a_cap(database: Database) -> None:
    local, bound = LocalBudgets(Ledger(database), SYSTEM_CLOCK), caps()
    held = [Reservation(ids.uuid7(), 100, bound, 60.0) for _ in range(64)]
    verdicts = await asyncio.gather(*(local.judge(one) for one in held))
    assert [verdict for verdict, _ in verdicts].count("granted") == 10
    assert {verdict for verdict, _ in verdicts} == {"granted", "full"}


async def test_a_call_that_nothing_bounds_is_told_of_too(redis: Redis, database: Database) -> None:
    whose = Spender(ids.uuid7(), "noop", None, test_mode=False)
    for budgets in ({}, {"project": BudgetSettings(day_usd="1")}):
        settings = settings_for("http://127.0.0.1:9/v1").model_copy(update={"budgets": budgets})
        (target,) = Routes(settings).targets("small", test_mode=False)
        money = Money(redis, database, settings, SYSTEM_CLOCK)
        funds = Funds(money.budgets, Prices(settings), SYSTEM_CLOCK)
        asked = request(charge=Charge(whose, "1", 1))
        held = await funds.set_aside(asked, target, b"x" * 4000, 300, 60)
        assert (held.nanos > 0, held.lost is not None, bool(held.caps)) == (True, True, bool(budgets))
        funds.give_back(held)
        await money.close()
