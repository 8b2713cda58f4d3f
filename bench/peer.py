"""Starts a peer: its API under uvicorn, its workers beside it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

from bench.contender import Ledger, Running
from bench.load import post
from bench.peers.given import READY
from bench.place import Place
from bench.process import ROOT, Process, process

BENCH_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
_UVICORN = ("--host", "127.0.0.1", "--port", "0", "--loop", "uvloop", "--http", "httptools", "--no-access-log")
_SERVING = r"running on http://127\.0\.0\.1:(\d+)"


@dataclass(frozen=True, slots=True)
class Peer:
    """Modules below bench.peers; `own` tells that it needs the environment of bench/requirements.lock."""

    api: str
    worker: str
    ledger: Callable[[Place], Ledger]
    tuned: bool = True
    own: bool = False

    @contextmanager
    def start(self, place: Place, workers: int) -> Iterator[Running]:
        """Run it with so many workers until the end of the block. Main thread only."""
        with ExitStack() as stack:
            api = stack.enter_context(self._process(place, "api", _SERVING, "uvicorn", f"{self.api}:app", *_UVICORN))
            parts = {**place.servers, "api": api.pid}
            for number in range(1, workers + 1):
                worker = stack.enter_context(self.work(place, f"worker-{number}"))
                parts[f"worker-{number}"] = worker.pid
            yield Running(
                host="127.0.0.1",
                port=int(api.said[1]),
                parts=parts,
                ledger=self.ledger(place),
                request=_request,
                work=partial(self.work, place),
            )

    def work(self, place: Place, name: str) -> AbstractContextManager[Process]:
        """One worker, until the end of the block."""
        return self._process(place, name, READY, self.worker)

    def _process(self, place: Place, name: str, ready: str, *words: str) -> AbstractContextManager[Process]:
        python = str(BENCH_PYTHON) if self.own else sys.executable
        return process(
            name,
            (python, "-m", *words),
            place.folder / f"{name}.log",
            ready,
            BENCH_DATABASE_URL=place.database_url,
            BENCH_REDIS_URL=place.redis_url,
            BENCH_PROVIDER_URL=place.provider_url,
            BENCH_TUNED="yes" if self.tuned else "no",
        )


def _request(kind: str, wait: bool) -> bytes:
    return post(f"/jobs{'?wait=30' if wait else ''}", f'{{"n":1,"kind":"{kind}"}}'.encode(), "none")
