"""Alerts in the database: however many look at once, one of them is told of each change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from app.domain.alert import AlertKind, Condition
from app.store.alerts import Alerts, Changes
from app.store.database import Database, open_database
from app.store.migrate import migrate
from tests.store.parts import running_postgres

REDIS = Condition(AlertKind.PART_AWAY, "redis", "redis cannot be reached")
BULK = Condition(AlertKind.UNCLAIMED, "bulk", "work is due")


@pytest.fixture(scope="module")
async def database() -> AsyncIterator[Database]:
    with running_postgres() as server:
        await migrate(server.url)
        opened = await open_database(server.url, 16)
        yield opened
        await opened.close()


@pytest.fixture
async def alerts(database: Database) -> Alerts:
    """None yet."""
    await execute(database, "truncate alerts")
    return Alerts(database)


async def execute(database: Database, statement: str) -> None:
    async with database.connection() as connection:
        await connection.execute(statement)


async def older(database: Database, seconds: float) -> None:
    """Let time pass for every row."""
    moved = ", ".join(f"{name} = {name} - interval '{seconds} s'" for name in ("since", "seen_at", "fired_at"))
    await execute(database, f"update alerts set {moved}")


def keys(changes: Changes) -> tuple[list[str], list[str]]:
    return [alert.key for alert in changes.fired], [alert.key for alert in changes.resolved]


async def test_one_of_many_is_told_of_each_change(alerts: Alerts) -> None:
    found = await asyncio.gather(*(alerts.record([REDIS, BULK], 0, 0) for _ in range(40)))
    told = [alert.key for changes in found for alert in changes.fired]
    assert sorted(told) == sorted([REDIS.key, BULK.key])
    found = await asyncio.gather(*(alerts.record([BULK], 0, 0) for _ in range(40)))
    assert [alert.key for changes in found for alert in changes.resolved] == [REDIS.key]
    assert [alert.key for alert in await alerts.standing()] == [BULK.key]


async def test_one_of_many_has_the_turn(alerts: Alerts, database: Database) -> None:
    await execute(database, "update lookouts set at = now() - interval '1 hour'")
    assert sum(await asyncio.gather(*(alerts.take_turn(30) for _ in range(40)))) == 1
    await execute(database, "update lookouts set at = at - interval '31 s'")
    assert await alerts.take_turn(30)


async def test_it_fires_once_it_has_held(alerts: Alerts, database: Database) -> None:
    assert keys(await alerts.record([REDIS], 3, 10)) == ([], [])
    assert await alerts.standing() == []
    await older(database, 2)
    assert keys(await alerts.record([REDIS], 3, 10)) == ([], [])
    await older(database, 2)
    assert keys(await alerts.record([REDIS], 3, 10)) == ([REDIS.key], [])
    assert keys(await alerts.record([REDIS], 3, 10)) == ([], [])


async def test_what_is_gone_before_it_has_held_is_forgotten(alerts: Alerts, database: Database) -> None:
    await alerts.record([REDIS], 3, 10)
    await older(database, 5)
    assert keys(await alerts.record([], 3, 10)) == ([], [])
    assert keys(await alerts.record([REDIS], 3, 10)) == ([], []), "it begins anew"


async def test_what_nobody_saw_for_long_begins_anew(alerts: Alerts, database: Database) -> None:
    await alerts.record([REDIS], 3, 10)
    await older(database, 60)
    assert keys(await alerts.record([REDIS], 3, 10)) == ([], []), "nobody looked for a minute"


async def test_it_resolves_once_it_is_gone_for_a_while(alerts: Alerts, database: Database) -> None:
    await alerts.record([REDIS], 0, 10)
    await older(database, 8)
    assert keys(await alerts.record([], 0, 10)) == ([], [])
    assert keys(await alerts.record([REDIS], 0, 10)) == ([], []), "it came back: the same alert"
    await older(database, 8)
    assert keys(await alerts.record([], 0, 10)) == ([], []), "gone for eight seconds, counted from its return"
    await older(database, 8)
    assert keys(await alerts.record([], 0, 10)) == ([], [REDIS.key])
    assert keys(await alerts.record([REDIS], 0, 10)) == ([REDIS.key], []), "another one under the same key"


async def test_an_outage_is_noted_once(alerts: Alerts) -> None:
    """Ten processes lived through it; the one that looks next tells of its end."""
    await asyncio.gather(*(alerts.note_outage(REDIS, 30 + n / 10, 27) for n in range(10)))
    (alert,) = await alerts.standing()
    assert (alert.fired_at - alert.since).total_seconds() == pytest.approx(3, abs=1)
    assert keys(await alerts.record([], 0, 0)) == ([], [REDIS.key])
    await alerts.note_outage(REDIS, 30, 27)
    assert await alerts.standing() == [], "a process that notes it late"
