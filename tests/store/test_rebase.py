"""A dump that is restored into a younger cluster: feeds, usage and budgets go on, and nobody loses his place."""

from __future__ import annotations

import asyncio
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from app.domain import budget, ids
from app.domain.budget import Kind, Scope
from app.domain.period import Period
from app.store.database import Database, open_database
from app.store.feed import _AFTER, START, Feed, Place
from app.store.ledger import Ledger, Span
from app.store.migrate import migrate
from app.store.rebase import AHEAD
from app.supervise.postgres import Postgres
from tests.store.parts import PROJECT, Store, running_postgres
from tests.store.plans import rows_read
from tests.supervise.embedded import RunningServer
from tests.verified import broken

# The old cluster has had so many more transactions: beyond all that a restore and a few jobs take.
_OLDER = 20_000
_COUNT_ON = f"do $$ begin for i in 1..{_OLDER} loop perform pg_current_xact_id(); commit; end loop; end $$"
_ROW = """
insert into ledger (call_id, at, project_id, workflow, version, job_id, step, attempt, provider, model, outcome,
    input_tokens, output_tokens, cached_tokens, cost_nanos, price_known)
values ($1, now(), $2, 'noop', '1', gen_random_uuid(), 'ask', 1, 'main', 'mini-1', 'late', 10, 5, 0, $3, true)
"""
_EVENTS = """
insert into events (id, project_id, type, at, revision) select id, $2, 'job.queued', now(), 1 from unnest($1::uuid[]) id
"""
_PROJECTS = 5
_BASE = "select xid_base, rolled::text::bigint from bookkeeping"


@pytest.fixture
def younger() -> Iterator[RunningServer]:
    """A cluster that was made just now."""
    with running_postgres() as server:
        yield server


@dataclass
class Restored:
    """The younger cluster, and what stood in the old one."""

    database: Database
    url: str
    events: list[str]
    middle: Place


@pytest.fixture
async def restored(database: Database, postgres: RunningServer, younger: RunningServer) -> AsyncIterator[Restored]:
    """Its dump, before `laneway migrate`; 7 nano-dollars are added up in it, 20 are not yet."""
    async with database.connection() as connection:
        await connection.execute("truncate events, jobs, ledger, usage_hours")
        await connection.execute(_COUNT_ON)
    store, ledger = Store(database), Ledger(database)
    for cost in (7, 20):
        await store.submit("standard")
        await _spend(database, cost)
        if cost == 7:
            await ledger.roll()
    await store.submit("standard")
    found = await Feed(database).after(PROJECT, START, 100)
    assert len(found) == 3
    _restore(postgres.url, younger)
    opened = await open_database(younger.url, 6)
    yield Restored(opened, younger.url, [str(one.event.id) for one in found], found[1].place)
    await opened.close()


def _restore(url: str, new: RunningServer) -> None:
    assert isinstance(new.server, Postgres)
    folder = new.server.binaries.folder
    dump = subprocess.run([folder / "pg_dump", "--format=custom", url], check=True, capture_output=True)
    subprocess.run([folder / "pg_restore", "--dbname", new.url], input=dump.stdout, check=True, capture_output=True)


async def _spend(database: Database, cost: int) -> None:
    async with database.connection() as connection:
        await connection.execute(_ROW, ids.uuid7(), PROJECT, cost)


async def _feed(database: Database, after: Place) -> list[str]:
    return [str(one.event.id) for one in await Feed(database).after(PROJECT, after, 100)]


async def _spent(database: Database) -> set[int]:
    """What a budget counts, and what usage tells, of these two hours."""
    now, scope = datetime.now(UTC), Scope(PROJECT, Kind.PROJECT, "", False)
    span = Span(Period.HOUR.start(now) - timedelta(hours=1), Period.HOUR.end(now))
    used = await Ledger(database).used(PROJECT, False, span, "day")
    counters = [budget.Counter(scope, Period.HOUR, start) for start in (span.since, span.since + timedelta(hours=1))]
    return {used[-1].cost_nanos, sum([await Ledger(database).spent(one) for one in counters])}


async def test_feeds_and_sums_go_on_in_a_younger_cluster(restored: Restored) -> None:
    """A process was started before the migration, too: what it wrote, and is writing, comes after what was restored."""
    database, store = restored.database, Store(restored.database)
    await store.submit("standard")
    await _spend(database, 60)
    async with database.transaction() as connection:
        await connection.execute(_ROW, ids.uuid7(), PROJECT, 40)
        migration = asyncio.create_task(migrate(restored.url))
        await asyncio.sleep(1)
        assert not migration.done()
    await migration
    assert await _spent(database) == {127}
    await store.submit("standard")
    await _spend(database, 1000)
    assert await _spent(database) == {1127}
    await Ledger(database).roll()
    assert await _spent(database) == {1127}
    found = await _feed(database, START)
    assert found[:3] == restored.events
    assert len(found) == 5 and sorted(found) == found
    assert await _feed(database, restored.middle) == found[2:]
    assert await broken(restored.url) == []


async def test_where_nothing_is_wrong_nothing_changes(restored: Restored, database: Database) -> None:
    async with database.connection() as connection:
        before = await connection.fetchrow(_BASE)
        await migrate(database._url)
        assert await connection.fetchrow(_BASE) == before
    await migrate(restored.url)
    async with restored.database.connection() as connection:
        once = await connection.fetchrow(_BASE)
        await migrate(restored.url)
        assert once and once[0] > _OLDER and await connection.fetchrow(_BASE) == once


async def test_a_look_reads_a_row_of_each_project(database: Database) -> None:
    """However much is stored."""
    async with database.connection() as connection:
        for project in range(_PROJECTS):
            await connection.execute(_EVENTS, [ids.uuid7() for _ in range(2000)], ids.uuid7())
            await connection.executemany(_ROW, [(ids.uuid7(), PROJECT, project) for _ in range(500)])
        await connection.execute("analyze events, ledger")
        projects = await connection.fetchval("select count(distinct project_id) from events")
        read = await rows_read(connection, AHEAD)
    assert read.pop("ledger") == 1 == read.pop("bookkeeping")
    assert _of_events(read) == projects >= _PROJECTS, read


async def test_a_page_of_the_feed_reads_no_more_than_it_shows(database: Database) -> None:
    project = ids.uuid7()
    async with database.connection() as connection:
        await connection.execute(_EVENTS, [ids.uuid7() for _ in range(2000)], project)
        await connection.execute("analyze events")
        read = await rows_read(connection, _AFTER, project, "0", 0, 10)
    assert _of_events(read) == 10, read


def _of_events(read: Counter[str]) -> int:
    return sum(count for table, count in read.items() if table.startswith("events_"))


async def test_a_cluster_may_be_left_again_and_again(restored: Restored) -> None:
    """The numbers that the second one wrote are ahead of a third, as young as it was."""
    await migrate(restored.url)
    store = Store(restored.database)
    await store.submit("standard")
    with running_postgres() as third:
        _restore(restored.url, third)
        await migrate(third.url)
        opened = await open_database(third.url, 6)
        await Store(opened).submit("standard")
        await _spend(opened, 100)
        await Ledger(opened).roll()
        found = await _feed(opened, START)
        assert found[:3] == restored.events and len(found) == 5 and sorted(found) == found
        assert await _spent(opened) == {127}
        await opened.close()
