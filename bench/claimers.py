"""Three ways to claim the next job of a long queue in PostgreSQL: Laneway's, the plain one, procrastinate's."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial

import asyncpg

from app.domain import ids
from app.store.claims import Claims
from app.store.database import open_database
from app.store.migrate import migrate
from bench.claims import FILL, no_webhook
from bench.contender import Who
from bench.contenders import LANEWAY, PROCRASTINATE
from bench.peer import BENCH_PYTHON
from bench.place import Place
from bench.process import ROOT

PROJECTS = 10
_PLAIN_TABLE = """
create table jobs (
    id          bigint generated always as identity primary key,
    status      text not null default 'queued',
    input       jsonb not null,
    created_at  timestamptz not null default now()
);
create index on jobs (created_at, id) where status = 'queued';
"""
_PLAIN_FILL = """insert into jobs (input) select '{"n":1}' from generate_series(1, $1)"""
_PLAIN_CLAIM = """
update jobs set status = 'running' where id = (
    select id from jobs where status = 'queued' order by created_at, id limit 1 for update skip locked
) returning id, input
"""
_THEIR_FILL = """
insert into procrastinate_jobs (queue_name, task_name, args)
select 'default', 'noop', '{"n":1}' from generate_series(1, $1)
"""
_THEIR_CLAIM = "select id, status, args from procrastinate_fetch_job_v2(null, $1)"

Claim = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Claimer(Who):
    """Opens a queue of so many jobs, and gives what claims the next of them in a transaction of its own."""

    open: Callable[[Place, int], AbstractAsyncContextManager[Claim]]


@asynccontextmanager
async def _laneway(place: Place, jobs: int) -> AsyncIterator[Claim]:
    await migrate(place.database_url)
    await execute(place, FILL, PROJECTS, jobs)
    database = await open_database(place.database_url, 4)
    try:
        yield partial(Claims(database, ids.uuid7(), no_webhook).claim, "bulk")
    finally:
        await database.close()


@asynccontextmanager
async def _plain(place: Place, jobs: int) -> AsyncIterator[Claim]:
    await execute(place, _PLAIN_TABLE)
    await execute(place, _PLAIN_FILL, jobs)
    connection = await asyncpg.connect(place.database_url)
    try:
        yield partial(connection.fetchrow, _PLAIN_CLAIM)
    finally:
        await connection.close()


@asynccontextmanager
async def _procrastinate(place: Place, jobs: int) -> AsyncIterator[Claim]:
    words = ("-m", "procrastinate", "--app", "bench.peers.procrastinate_app.app", "schema", "--apply")
    environment = {"BENCH_DATABASE_URL": place.database_url}
    subprocess.run([BENCH_PYTHON, *words], cwd=ROOT, env=environment, check=True, capture_output=True)  # noqa: ASYNC221
    await execute(place, _THEIR_FILL, jobs)
    connection = await asyncpg.connect(place.database_url)
    try:
        worker = await connection.fetchval("select * from procrastinate_register_worker_v1()")
        yield partial(connection.fetchrow, _THEIR_CLAIM, worker)
    finally:
        await connection.close()


async def execute(place: Place, statement: str, *values: object) -> None:
    """Run it, and do at once what the server would do some seconds after so many rows."""
    connection = await asyncpg.connect(place.database_url)
    try:
        await connection.execute(statement, *values, timeout=120)
        for rest in ("vacuum analyze", "checkpoint"):
            await connection.execute(rest, timeout=120)
    finally:
        await connection.close()


def claimers() -> tuple[Claimer, ...]:
    """Those whose environment is there."""
    plain = Claimer("UPDATE ... FOR UPDATE SKIP LOCKED", "job and state in PostgreSQL", _plain)
    own = Claimer(LANEWAY.name, LANEWAY.keeps, _laneway)
    theirs = Claimer("procrastinate", PROCRASTINATE.keeps, _procrastinate)
    return (own, plain, theirs) if BENCH_PYTHON.exists() else (own, plain)
