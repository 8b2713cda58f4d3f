"""Dead letters among many ended jobs: looking at them does not look at the others."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from app.domain import ids
from app.domain.errors import Disposition
from app.domain.operation import Operation, Replay, Which
from app.store import dead_letters
from app.store.database import open_database
from app.store.dead_letters import DeadLetters
from app.store.migrate import migrate
from app.store.operations import Bounds, Operations
from tests.store.parts import PROJECT, Store, render
from tests.supervise.embedded import RunningServer

FINE, DEAD, BAD = 20_000, 120, 30
_INSERT = """
insert into jobs (
    id, project_id, workflow, version, lane, priority, status, due_at, created_at, claimed_at, ended_at, expires_at,
    retain_s, input_id, trace_id, span_id, tags, metadata, error_class, error_code, error_detail, disposition
)
select gen_random_uuid(), $1, 'w', '1', 'standard', 5, $2, now(), now(), now(), now(),
    case when n % 3 = 0 and $4 = 'dead_letter' then now() - interval '1 second' else now() + interval '1 day' end,
    86400, gen_random_uuid(), 't', 's', '[]', '{}', 'processing', 'code', 'detail', $4
from generate_series(1, $3) n
"""


@pytest.fixture(scope="module")
async def store(postgres: RunningServer) -> AsyncIterator[Store]:
    """Many that succeeded; of the dead letters every third is past its time."""
    await migrate(postgres.url)
    database = await open_database(postgres.url, 6)
    async with database.connection() as connection:
        for status, count, disposition in (
            ("succeeded", FINE, None),
            ("failed", DEAD, "dead_letter"),
            ("failed", BAD, "quarantine"),
        ):
            await connection.execute(_INSERT, PROJECT, status, count, disposition)
        await connection.execute("analyze jobs")
    yield Store(database)
    await database.close()


async def test_only_failed_jobs_are_read(store: Store) -> None:
    where, values = dead_letters.condition(PROJECT, Which())
    statement = dead_letters._CAUSES.format(where=where, samples=5, limit=50, offset=0)
    async with store.database.connection() as connection:
        plan = "\n".join(
            row[0] for row in await connection.fetch(f"explain (analyze, timing off) {statement}", *values)
        )
    assert "Seq Scan" not in plan, plan
    assert "jobs_dead" in plan or "jobs_failed" in plan, plan


async def test_what_is_past_its_time_is_neither_told_nor_replayed(store: Store) -> None:
    (cause,), total = await DeadLetters(store.database).causes(PROJECT, Which(), 10)
    assert (cause.count, total) == (DEAD * 2 // 3, DEAD * 2 // 3)
    (bad,), _ = await DeadLetters(store.database).causes(PROJECT, Which(disposition=Disposition.QUARANTINE), 10)
    assert bad.count == BAD
    operations = Operations(store.database, render, Bounds(50, 10**6, 10**6))
    begun = await operations.begin(PROJECT, ids.uuid7(), Replay(Which(workflow="w")), None)
    assert isinstance(begun, Operation)
    sizes = []
    while (portion := await operations.work(begun.id)) is not None:
        sizes.append(len(portion.moved))
    assert sizes == [50, 30]
    ended = await operations.find(PROJECT, begun.id)
    assert ended is not None
    assert (ended.total, ended.done, ended.skipped) == (80, 80, 0)
