"""Embedded PostgreSQL and Valkey for tests: `with embedded() as (database_url, redis_url)`."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.supervise.binaries import find_postgres, find_valkey
from app.supervise.children import spawn
from app.supervise.copies import SYSTEM_STORE, usable_postgres, usable_valkey
from app.supervise.errors import StillRunning
from app.supervise.home import open_home
from app.supervise.postgres import Postgres
from app.supervise.server import Server
from app.supervise.valkey import Valkey

START_TIMEOUT_S = 30.0


class RunningServer:
    """A started server that a test may stop, kill and start again at the same address."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self) -> None:
        """Start it and wait until it answers. Raises AssertionError with its last words."""
        until = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < until:
            try:
                self.server.prepare()
            except StillRunning:
                time.sleep(0.05)
                continue
            if self._started(until):
                return
        raise AssertionError(f"{self.server.name} did not start:\n{_last_words(self.server)}")

    def _started(self, until: float) -> bool:
        self.process = spawn(self.server.program())
        while time.monotonic() < until and self.process.poll() is None:
            if self.server.ready(self.process.pid):
                return True
            time.sleep(0.01)
        return False

    def kill(self) -> None:
        """SIGKILL, and wait for its end."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> None:
        """An orderly stop, and wait for its end."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(self.server.program().stop_signal)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()


@dataclass(frozen=True, slots=True)
class Embedded:
    """Both servers; unpacks into their two addresses."""

    postgres: RunningServer
    valkey: RunningServer

    @property
    def database_url(self) -> str:
        return self.postgres.url

    @property
    def redis_url(self) -> str:
        return self.valkey.url

    def __iter__(self) -> Iterator[str]:
        return iter((self.database_url, self.redis_url))


@contextmanager
def embedded(data: Path | None = None, *, fsync: bool = False, store: Path = SYSTEM_STORE) -> Iterator[Embedded]:
    """Both servers, running until the end of the block. `data` None: a folder in /tmp that is removed afterwards.

    Main thread only. The role in the address is a superuser: a test may create databases of its own.
    """
    with _folder(data) as folder:
        servers = open_servers(folder, fsync=fsync, store=store)
        try:
            servers.postgres.start()
            servers.valkey.start()
            yield servers
        finally:
            servers.valkey.stop()
            servers.postgres.stop()


def open_servers(
    data: Path, *, fsync: bool = False, store: Path = SYSTEM_STORE, postgres_bin: str | None = None
) -> Embedded:
    """Both servers below that folder, not started."""
    home = open_home(data, store)
    postgres = Postgres(
        home, usable_postgres(find_postgres(postgres_bin), home.account, store), data / "postgres.log", fsync
    )
    valkey = Valkey(home, usable_valkey(find_valkey(None), home.account, store), data / "valkey.log")
    return Embedded(RunningServer(postgres), RunningServer(valkey))


@contextmanager
def running_valkey() -> Iterator[RunningServer]:
    """A Valkey alone, running until the end of the block; a test may kill, freeze and start it again."""
    with open_folder() as folder:
        server = open_servers(folder).valkey
        server.start()
        yield server
        server.stop()


@contextmanager
def open_folder() -> Iterator[Path]:
    """A temporary folder that every user can pass through, unlike pytest's."""
    folder = Path(tempfile.mkdtemp(prefix="laneway-test-", dir="/tmp"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def _folder(data: Path | None) -> Iterator[Path]:
    if data is not None:
        os.makedirs(data, exist_ok=True)
        yield data
        return
    with open_folder() as folder:
        yield folder


def _last_words(server: Server) -> str:
    log = server.program().log
    return "\n".join(log.read_text(errors="replace").splitlines()[-20:]) if log and log.exists() else "(no log)"
