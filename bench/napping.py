"""Who is compared under fault, and how each is run: workers that can be killed, and a way to enqueue."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from app.store.migrate import migrate_now
from bench.peer import BENCH_PYTHON
from bench.peers.given import READY
from bench.place import Place
from bench.process import ROOT, process
from tests.faults.crew import answers
from tests.stack import free_port, until

_KEY = "lw_live_" + "nap5" * 8
_SERVING = '"serving"'


@dataclass(frozen=True, slots=True)
class Peer:
    """A module below bench.peers; `own` tells that it needs the environment of bench/requirements.lock."""

    name: str
    how: str
    module: str
    own: bool = False


LANEWAY = Peer("Laneway", "two worker processes without a parent, lease 4 s", "bench.peers.nap_laneway")
PEERS = (
    LANEWAY,
    Peer("arq, stock", "`job_timeout` 30 s, else defaults", "bench.peers.nap_arq"),
    Peer("SAQ", "`timeout` 30 s and 10 retries for each job, else defaults", "bench.peers.nap_saq", own=True),
    Peer(
        "procrastinate",
        "its manual's periodic task for stalled jobs, each 5 s; 10 retries; else defaults",
        "bench.peers.nap_procrastinate",
        own=True,
    ),
)


@dataclass(frozen=True, slots=True)
class Mark:
    """A job began or ended."""

    at: float
    n: int
    edge: str
    pid: int


class Site:
    """One peer on an empty database and Valkey."""

    def __init__(self, peer: Peer, place: Place, stack: ExitStack, environment: dict[str, str]) -> None:
        self._peer, self._place, self._stack, self._started = peer, place, stack, 0
        self._journal = place.folder / "journal"
        self._environment = {
            **environment,
            "BENCH_JOURNAL": str(self._journal),
            "BENCH_DATABASE_URL": place.database_url,
            "BENCH_REDIS_URL": place.redis_url,
        }

    def worker(self) -> int:
        """Start one and wait until it serves; its process id."""
        self._started += 1
        name = f"worker-{self._started}"
        words, ready = ("app", "work"), _SERVING
        if self._peer != LANEWAY:
            words, ready = (self._peer.module, "work"), READY
        argv = (self._python, "-m", *words)
        started = process(name, argv, self._place.folder / f"{name}.log", ready, **self._environment)
        return self._stack.enter_context(started).pid

    def enqueue(self, count: int, seconds: float) -> None:
        """So many jobs that sleep for so long."""
        argv = [self._python, "-m", self._peer.module, "enqueue", str(count), str(seconds)]
        subprocess.run(argv, cwd=ROOT, env={**os.environ, **self._environment}, check=True)

    def marks(self, edge: str) -> list[Mark]:
        """What jobs noted so far."""
        if not self._journal.exists():
            return []
        lines = self._journal.read_text().splitlines(keepends=True)
        found = [Mark(**json.loads(line)) for line in lines if line.endswith("\n")]
        return [mark for mark in found if mark.edge == edge]

    @property
    def _python(self) -> str:
        return str(BENCH_PYTHON) if self._peer.own else sys.executable


@contextmanager
def site(peer: Peer, place: Place) -> Iterator[Site]:
    """The peer without a worker; of Laneway its API. All is ended with the block. Main thread only."""
    with ExitStack() as stack:
        environment: dict[str, str] = {}
        if peer == LANEWAY:
            environment = _laneway(place)
            migrate_now(place.database_url)
            argv = (sys.executable, "-m", "app", "serve", "--port", environment["BENCH_API_URL"].rpartition(":")[2])
            stack.enter_context(process("api", argv, place.folder / "api.log", "", **environment))
            until(lambda: answers(environment["BENCH_API_URL"]), 30)
        yield Site(peer, place, stack, environment)


def waited(true: Iterator[bool], timeout_s: float) -> bool:
    """Poll; whether it came true in time."""
    end = time.monotonic() + timeout_s
    for found in true:
        if found:
            return True
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return False


def _laneway(place: Place) -> dict[str, str]:
    return {
        "LANEWAY_DATABASE_URL": place.database_url,
        "LANEWAY_REDIS_URL": place.redis_url,
        "LANEWAY_BOOTSTRAP_KEY": _KEY,
        "LANEWAY_WORKFLOWS": LANEWAY.module,
        "LANEWAY_DRAIN_S": "1",
        "LANEWAY_SIMULATOR_URL": "http://127.0.0.1:9",
        "BENCH_API_URL": f"http://127.0.0.1:{free_port()}",
    }
