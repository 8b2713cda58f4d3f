"""The parent: what it starts, what it keeps alive, what it says, and that nothing outlives it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import redis.asyncio

from tests.supervise.embedded import Embedded
from tests.supervise.running import PLAIN_PYTHON, Up, left_behind, terminal, until, up


async def test_a_whole_life(folder: Path) -> None:
    """First start, Ctrl-C, second start on the same directory."""
    began = time.monotonic()
    with up(folder, api=2) as first:
        note = first.serving()
        assert time.monotonic() - began < 8
        key = _check_words(first)
        _check_children(first, key)
        await _write(note["database_url"])
        first.interrupt()
        assert first.ended() == 0
        assert left_behind(folder) == [] and not (first.data / "up.json").exists()
        assert len(first.lines("drained")) == 2 and first.lines("released") == []
    with up(folder) as second:
        assert await _count(second.serving()["database_url"]) == 1
        assert key in second.said


def _check_words(run: Up) -> str:
    key = (run.data / "api_key").read_text().strip()
    assert key.startswith("lw_live_") and len(key) == 40
    url = run.note["url"]
    for said in (url, f"{url}/docs", key, str(run.data / "postgres"), "Valkey", "simulated"):
        assert said in run.said
    for private in ("api_key", "up.json", "logs/api-1.log"):
        assert (run.data / private).stat().st_mode & 0o077 == 0
    assert "migration says" in (run.data / "logs" / "migrate.log").read_text()
    return key


def _check_children(run: Up, key: str) -> None:
    children, note = run.children, run.note
    assert set(children) == {"postgres", "valkey", "simulator", "api-1", "api-2", "worker-1", "worker-2"}
    assert run.get() in {str(children["api-1"]), str(children["api-2"])}
    for name, word in (("api-1", " serve "), ("worker-1", " work "), ("simulator", " simulate ")):
        assert word in _proc(children[name], "cmdline").replace("\0", " ") + " "
    told = dict(line.split("=", 1) for line in _proc(children["worker-1"], "environ").split("\0") if "=" in line)
    assert told["LANEWAY_DATABASE_URL"] == note["database_url"] and told["LANEWAY_REDIS_URL"] == note["redis_url"]
    assert told["LANEWAY_BOOTSTRAP_KEY"] == key and told["LANEWAY_SIMULATOR_URL"] == note["simulator_url"]
    assert key not in _proc(children["postgres"], "environ") and "TEST_" not in _proc(children["valkey"], "environ")


async def test_killed_children_and_servers_come_back(folder: Path) -> None:
    with up(folder, environment={"TEST_RELEASE_BREAKS": "1"}) as run:
        note, before = run.serving(), run.children
        for name in ("worker-1", "api-1", "postgres", "valkey", "simulator"):
            os.kill(before[name], signal.SIGKILL)
        assert run.get() not in {str(pid) for pid in before.values()}, "the port stays bound while the API restarts"
        until(lambda: all(run.children[name] != pid for name, pid in before.items() if name != "worker-2"))
        assert run.children["worker-2"] == before["worker-2"]
        await _until_answering(note)
        ids = {int(words[2]): words[3] for words in run.lines("start") if words[3] != "-"}
        assert len(set(ids.values())) == 5, "each start has an id of its own"
        until(lambda: len(run.lines("released")) == 2)
        released = {(words[1], words[2]) for words in run.lines("released")}
        assert released == {(ids[before[name]], note["database_url"]) for name in ("worker-1", "api-1")}
        assert "no database" in run.said, "a release that fails is said, and stops nothing"


def test_a_hangup_is_passed_on_and_stops_nothing(folder: Path) -> None:
    with up(folder, api=2) as run:
        run.serving()
        before = run.children
        run.process.send_signal(signal.SIGHUP)
        ours = {str(before[name]) for name in ("api-1", "api-2", "worker-1", "worker-2")}
        until(lambda: {words[1] for words in run.lines("hangup")} == ours)
        assert "Reading the configuration again" in run.said
        assert (run.children, run.process.poll()) == (before, None)
        run.interrupt()
        assert run.ended() == 0


def test_the_end_of_its_terminal_stops_it(folder: Path) -> None:
    """Not so under nohup: then even a hangup only has the configuration read."""
    for hidden in (False, True):
        with terminal() as (controller, device), up(folder, terminal=device, nohup=hidden) as run:
            run.serving()
            ours = {str(run.children[name]) for name in ("api-1", "worker-1", "worker-2")}
            os.close(controller)
            if hidden:
                run.process.send_signal(signal.SIGHUP)
                # Each may hear of it twice: the terminal's end is a hangup too.
                until(lambda run=run, ours=ours: {words[1] for words in run.lines("hangup")} == ours)
                run.interrupt()
            assert run.ended() == 0
            assert ("Reading the configuration" in run.said) == hidden
        (folder / "journal").unlink()


def test_killed_parent_leaves_nothing(folder: Path) -> None:
    with up(folder) as run:
        run.serving()
        assert len(left_behind(folder)) > 6
        run.process.kill()
        until(lambda: not left_behind(folder), timeout_s=10)
        assert len(run.lines("drained")) == 2
        assert "database system is shut down" in (run.data / "logs" / "postgres.log").read_text()
    with up(folder) as again:
        again.serving()


def test_killed_parent_at_every_moment_of_the_start(folder: Path) -> None:
    for wait_s in (0.25, 0.5, 0.75):
        with up(folder) as run:
            time.sleep(wait_s)
    with up(folder) as run:
        run.serving()


@pytest.mark.skipif(not PLAIN_PYTHON, reason="only root can become somebody else, and needs a Python for him")
def test_a_plain_user_needs_no_more(folder: Path) -> None:
    with up(folder, user=33) as run:
        run.serving()
        owners = {Path(f"/proc/{pid}").stat().st_uid for pid in run.children.values()}
        assert owners == {33} and (run.data / "postgres").stat().st_uid == 33
        run.interrupt()
        assert run.ended() == 0 and left_behind(folder) == []


def test_second_parent_on_one_directory_is_refused(folder: Path) -> None:
    with up(folder) as first:
        first.serving()
        with socket.create_connection(("127.0.0.1", int(first.note["url"].rsplit(":", 1)[1]))):
            second = Up(folder)
            assert second.ended() == 1
        assert f"(process {first.process.pid}) uses {first.data}" in second.said
        first.serving()


def test_stuck_worker_is_killed_after_its_time_and_released(folder: Path, servers: Embedded) -> None:
    with up(folder, environment={"TEST_DRAIN": "60"}, drain_s=0.3, workers=1, **_given(servers)) as run:
        run.serving()
        run.interrupt()
        assert run.ended() == 0
        assert len(run.lines("draining")) == 1 and run.lines("drained") == []
        assert len(run.lines("released")) == 1


def test_second_interrupt_kills_now(folder: Path, servers: Embedded) -> None:
    with up(folder, environment={"TEST_DRAIN": "60"}, **_given(servers)) as run:
        run.serving()
        run.interrupt()
        until(lambda: len(run.lines("draining")) == 2)
        assert run.process.poll() is None
        run.interrupt()
        assert run.ended(5) == 0 and left_behind(folder) == []


def test_given_urls_embed_nothing(folder: Path, servers: Embedded) -> None:
    key = "lw_live_" + "k" * 32
    with up(folder, bootstrap_key=key, simulate=False, **_given(servers)) as run:
        run.serving()
        assert set(run.children) == {"api-1", "worker-1", "worker-2"}
        assert "LANEWAY_DATABASE_URL" in run.said and key not in run.said
        assert not (run.data / "postgres").exists() and not (run.data / "api_key").exists()


@pytest.mark.parametrize(
    ("environment", "code", "words"),
    [
        ({"TEST_MIGRATE_EXIT": "3"}, 1, ("migrate could not start (exit code 3)", "migrate: key limits")),
        ({"TEST_WORK_EXIT": "78"}, 78, ("could not start (exit code 78)", "work: key limits.slots must be above 0")),
        ({"TEST_SERVE_EXIT": "1"}, 1, ("api-1 could not start (exit code 1)", "serve: key limits.slots must be")),
    ],
)
def test_child_that_gives_up_stops_the_start(
    folder: Path, servers: Embedded, environment: dict[str, str], code: int, words: tuple[str, ...]
) -> None:
    with up(folder, environment=environment, **_given(servers)) as run:
        assert run.ended() == code
        assert all(word in run.said for word in words) and "Traceback" not in run.said
        assert left_behind(folder) == []


def test_port_in_use_is_said(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with up(folder, port=port) as run:
            assert run.ended() == 1
            assert f"Cannot listen on 127.0.0.1 port {port}: Address already in use" in run.said


def test_interrupt_during_the_start_leaves_nothing(folder: Path) -> None:
    with up(folder) as run:
        until(lambda: (run.data / "logs" / "postgres.log").exists())
        run.interrupt()
        assert run.ended() == 0 and left_behind(folder) == []


def _given(servers: Embedded) -> dict[str, Any]:
    return {"database_url": servers.database_url, "redis_url": servers.redis_url}


def _proc(pid: int, what: str) -> str:
    return Path(f"/proc/{pid}/{what}").read_bytes().decode()


async def _write(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("create table kept (n int)")
    await connection.execute("insert into kept values (1)")
    await connection.close()


async def _count(url: str) -> int:
    connection = await asyncpg.connect(url)
    rows = int(await connection.fetchval("select count(*) from kept"))
    await connection.close()
    return rows


async def _until_answering(note: dict[str, Any]) -> None:
    end = time.monotonic() + 10
    while True:
        try:
            connection = await asyncpg.connect(note["database_url"], timeout=2)
            await connection.close()
            async with redis.asyncio.Redis.from_url(note["redis_url"]) as client:
                assert await client.ping()
            return
        except (OSError, asyncpg.PostgresError, redis.exceptions.ConnectionError):
            assert time.monotonic() < end
            await asyncio.sleep(0.05)
