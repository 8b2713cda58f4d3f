"""What a claim takes with 100,000 jobs queued: `python -m bench.claims` prints a row for each number of projects."""

from __future__ import annotations

import asyncio
import statistics
import sys
import time

from app.domain import ids
from app.domain.job import Job
from app.store.announce import EventRow
from app.store.claims import Claims
from app.store.database import Database, open_database
from app.store.migrate import migrate
from tests.supervise.embedded import embedded

QUEUED = 100_000
_ROUNDS = 40
_PROJECTS = (1, 10, 300, 3000)
FILL = """
with new as (
    select uuidv7() as id, uuidv7() as input_id, n,
        ('00000000-0000-7000-8000-' || lpad((n % $1)::text, 12, '0'))::uuid as project_id
    from generate_series(1, $2) n
), stored as (
    insert into payloads (id, job_id, body) select input_id, id, '{"n":1}' from new
)
insert into jobs (
    id, project_id, workflow, version, lane, priority, status, due_at, created_at, expires_at, retain_s, input_id,
    trace_id, span_id, tags, metadata
)
select id, project_id, 'noop', '1', 'bulk', 5, 'queued', clock_timestamp(), clock_timestamp(), now(), 1, input_id,
    repeat('a', 32), repeat('b', 16), '[]', '{}'
from new
"""


def main() -> None:
    """Print the table."""
    with embedded(fsync=True) as servers:
        asyncio.run(migrate(servers.database_url))
        asyncio.run(_table(servers.database_url))


async def _table(url: str) -> None:
    sys.stdout.write("| projects | statistics | claim of 1, ms: p50 / max | claim of 50, ms: p50 / max |\n")
    database = await open_database(url, 4)
    for projects in _PROJECTS:
        await _execute(database, "truncate jobs, payloads, tenants, events")
        await _execute(database, FILL, projects, QUEUED)
        for analysed in (False, True):
            if analysed:
                await _execute(database, "analyze jobs")
            one, fifty = await _claims(database, 1), await _claims(database, 50)
            sys.stdout.write(f"| {projects} | {'analysed' if analysed else 'none yet'} | {one} | {fifty} |\n")
            sys.stdout.flush()
    await database.close()


async def _claims(database: Database, count: int) -> str:
    """Each claim is a transaction with its commit, as a worker makes it."""
    claims = Claims(database, ids.uuid7(), no_webhook)
    taken = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        found = await asyncio.gather(*(claims.claim("bulk") for _ in range(count)))
        taken.append((time.perf_counter() - began) * 1000)
        assert all(found)
    return f"{statistics.median(taken):.1f} / {max(taken):.1f}"


async def _execute(database: Database, statement: str, *values: object) -> None:
    async with database.connection() as connection:
        await connection.execute(statement, *values, timeout=120)


def no_webhook(event: EventRow, job: Job) -> bytes:
    raise AssertionError("these jobs have no webhook")


if __name__ == "__main__":
    main()
