"""`laneway verify`: no false alarm while hundreds of jobs go their ways, and each breach is seen by its check alone."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import asyncpg
import pytest

from app.ops.verify import CHECKS, verified
from app.store.database import StoreAway
from app.store.invariants.check import Check
from app.store.invariants.inspection import Scope, open_inspection
from tests.ops.breaches import BREACHES
from tests.ops.honest import COUNT, Honest
from tests.stack import ROOT, Stack, running_stack
from tests.supervise.embedded import open_folder
from tests.verified import broken


@pytest.fixture(scope="module")
def left() -> Iterator[Stack]:
    """The database after an honest run; its processes are gone since a moment."""
    with open_folder() as folder, running_stack(folder, LANEWAY_WORKFLOWS=_WORKFLOWS) as stack:
        _run(stack)
        # So that they are gone since a moment only, however long the tests take.
        stack.sql("update workers set beat_at = now() + interval '1 hour'")
        yield stack


_WORKFLOWS = "tests.flows.catalogue,tests.flows.family"


def _run(stack: Stack) -> None:
    """Look again and again while the jobs come, are meddled with, and lose a worker; and once at rest."""
    first = stack.start_worker()
    stack.start_worker()
    stack.start_api()
    honest, url = Honest(stack), stack.servers.database_url
    jobs = honest.submit_all()
    assert asyncio.run(broken(url)) == []
    honest.meddle(jobs)
    first.kill()
    stack.start_worker()
    for _ in range(10):
        assert asyncio.run(broken(url)) == []
        time.sleep(0.1)
    honest.rest()
    honest.leave_open()
    assert asyncio.run(broken(url)) == []
    stack.close()


def test_nothing_is_broken_after_an_honest_run(left: Stack) -> None:
    assert asyncio.run(broken(left.servers.database_url)) == []
    (row,) = left.sql("select count(*) as jobs, count(distinct status) as states from jobs")
    assert row["jobs"] > COUNT and row["states"] == 8


@pytest.mark.parametrize("name", [check.name for check in CHECKS])
def test_each_breach_is_seen_by_its_check_alone(left: Stack, name: str) -> None:
    seen = asyncio.run(_seen(left.servers.database_url, BREACHES[name]))
    assert list(seen) == [name]
    assert seen[name]


def test_no_breach_is_of_an_unknown_check() -> None:
    assert set(BREACHES) == {check.name for check in CHECKS}


def test_the_command_line_says_what_holds(left: Stack) -> None:
    done = _command(left.servers.database_url)
    assert done.returncode == 0, done.stderr
    rows = done.stdout.splitlines()
    assert [row.split()[:2] for row in rows[1 : len(CHECKS) + 1]] == [[check.name, "0"] for check in CHECKS]
    assert re.fullmatch(rf"{len(CHECKS)} checks of all jobs in \S+ s: {len(CHECKS)} hold, 0 broken\.", rows[-1])


def test_the_command_line_names_what_is_broken_since_when(left: Stack) -> None:
    copy = asyncio.run(_broken_copy(left.servers.database_url, BREACHES["usage"]))
    done = _command(copy, "--since", "1d")
    assert done.returncode == 1
    rows = done.stdout.splitlines()
    (at,) = (n for n, row in enumerate(rows) if row.startswith("usage "))
    assert rows[at].split()[1] == "1" and rows[at + 1].split()[1].startswith("job_")
    assert "1 broken." in rows[-1] and "jobs of the last 1d" in rows[-1]
    assert _command(copy, "--since", "1ms").returncode == 0


def test_json_says_the_same(left: Stack) -> None:
    done = _command(asyncio.run(_broken_copy(left.servers.database_url, BREACHES["partitions"])), "--json")
    said = json.loads(done.stdout)
    assert (done.returncode, said["holds"], len(said["checks"])) == (1, False, len(CHECKS))
    (broken,) = (one for one in said["checks"] if one["count"])
    assert broken["name"] == "partitions" and broken["first"][0].startswith("payloads_")


async def test_a_check_that_takes_too_long_is_cut_off_and_the_others_are_not(left: Stack) -> None:
    blocker = await asyncpg.connect(left.servers.database_url)
    async with blocker.transaction():
        await blocker.execute("lock table idempotency in access exclusive mode")
        done = await asyncio.to_thread(_command, left.servers.database_url, "--timeout", "300ms")
    await blocker.close()
    assert done.returncode == 1
    assert [row.split()[0] for row in done.stdout.splitlines() if " cut off  " in row] == ["key-job"]
    assert f"{len(CHECKS) - 1} hold, 0 broken, 1 cut off after 300ms" in done.stdout


async def test_nothing_can_be_written(left: Stack) -> None:
    writes = Check("writes", "it may write", "", "select nextval('events_seq')")
    async with open_inspection(left.servers.database_url) as inspection:
        with pytest.raises(StoreAway, match="read-only"):
            assert [one async for one in inspection.findings([writes], Scope())]


def test_without_a_database_it_says_so() -> None:
    assert _command("").returncode == 78
    away = _command("postgresql://postgres@127.0.0.1:9/none")
    assert away.returncode == 1 and away.stderr.startswith("The database is away")


def _command(url: str, *words: str) -> subprocess.CompletedProcess[str]:
    """`laneway verify` with these words."""
    environment = {**os.environ, "LANEWAY_DATABASE_URL": url}
    command = [sys.executable, "-m", "app", "verify", *words]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)


async def _seen(url: str, breach: str) -> dict[str, tuple[str, ...]]:
    """The checks that do not hold in a copy of the database with that breach, and what they name."""
    copy = await _broken_copy(url, breach)
    return {one.check.name: one.first async for one in verified(copy, Scope()) if not one.holds}


async def _broken_copy(url: str, breach: str) -> str:
    """The address of a copy in which that was done."""
    name = urlsplit(url).path[1:]
    server = await asyncpg.connect(url)
    await server.execute("drop database if exists breached with (force)")
    await server.execute(f"create database breached template {name}")
    await server.close()
    copy = await asyncpg.connect(url, database="breached")
    await copy.execute(breach)
    await copy.close()
    return url.replace(f"/{name}", "/breached", 1)
