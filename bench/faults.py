"""Laneway and its peers under the same faults: `python -m bench.faults [--only NAME] [--write]`.

A worker killed under ten running jobs; Redis lost with a thousand queued jobs; a worker stopped again and again under
three long jobs.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from bench.facts import facts
from bench.faults_page import JOBS, LONG_JOBS, QUEUED, RECORD, STOPS, Row, shown
from bench.napping import PEERS, Peer, Site, site, waited
from bench.place import Ground
from bench.process import ROOT
from docs.generate import renewed
from tests.supervise.embedded import Embedded, embedded, open_folder

PAGE = ROOT / "docs" / "faults.md"
SECONDS, LONG_S = 5.0, 20.0
_PATIENCE_S = 180.0
_LOAD_S = 60.0


def main() -> None:
    """Run all, or one; print, and with `--write` renew the page."""
    options = argparse.ArgumentParser(prog="python -m bench.faults", description=__doc__)
    options.add_argument("--only", help=f"one of {', '.join(peer.name for peer in PEERS)}")
    options.add_argument("--write", action="store_true", help="renew docs/faults.md")
    given = options.parse_args()
    rows = _kept() if given.only else {}
    with open_folder() as folder, embedded(fsync=True) as servers:
        ground = Ground(servers, folder)
        for peer in PEERS:
            if given.only in (None, peer.name):
                rows[peer.name] = _row(peer, ground, servers)
                print(shown(rows[peer.name]), flush=True)
        told = facts(ground.place(), 1)
    if given.write:
        RECORD.write_text(
            json.dumps(
                {"facts": told, "rows": [asdict(rows[peer.name]) for peer in PEERS if peer.name in rows]}, indent=1
            )
            + "\n"
        )
        PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def _kept() -> dict[str, Row]:
    """The rows of the last run, by the name of the peer."""
    rows = json.loads(RECORD.read_text(encoding="utf-8"))["rows"] if RECORD.exists() else []
    return {row["name"]: Row(**row) for row in rows}


def _row(peer: Peer, ground: Ground, servers: Embedded) -> Row:
    with site(peer, ground.place()) as here:
        taken_up = _killed(here)
    with site(peer, ground.place()) as here:
        lost = _emptied(here, servers)
    with site(peer, ground.place()) as here:
        ended = _stopped(here)
    return Row(peer.name, peer.how, sorted(taken_up), JOBS - len(taken_up), lost, ended)


def _killed(here: Site) -> list[float]:
    """kill -9 the worker that runs all jobs, beside one that is idle: seconds to the next start of each."""
    here.enqueue(JOBS, SECONDS)
    victim = here.worker()
    assert waited(_look(lambda: len(here.marks("begin")) >= JOBS), _LOAD_S), "the jobs did not start"
    other = here.worker()
    at = time.time()
    os.kill(victim, signal.SIGKILL)
    waited(_look(lambda: len({mark.n for mark in here.marks("begin") if mark.pid == other}) >= JOBS), _PATIENCE_S)
    again: dict[int, float] = {}
    for mark in here.marks("begin"):
        if mark.pid == other:
            again.setdefault(mark.n, mark.at - at)
    return list(again.values())


def _emptied(here: Site, servers: Embedded) -> int:
    """Redis dies with all it has while jobs are queued and nobody works: how many never run."""
    here.enqueue(QUEUED, 0.0)
    servers.valkey.kill()
    servers.valkey.start()
    here.worker()
    _until_quiet(here)
    return QUEUED - len({mark.n for mark in here.marks("end")})


def _stopped(here: Site) -> int:
    """SIGTERM to each worker soon after it began: how many jobs end when at last one is left in peace."""
    here.enqueue(LONG_JOBS, LONG_S)
    for _ in range(STOPS):
        worker, had = here.worker(), len(here.marks("begin"))
        waited(_look(lambda had=had: len(here.marks("begin")) > had), 15)  # type: ignore[misc]
        time.sleep(0.5)
        os.kill(worker, signal.SIGTERM)
        waited(_look(lambda worker=worker: _over(worker)), 40)  # type: ignore[misc]
    here.worker()
    waited(_look(lambda: len({mark.n for mark in here.marks("end")}) >= LONG_JOBS), LONG_S + 70)
    return len({mark.n for mark in here.marks("end")})


def _until_quiet(here: Site) -> None:
    """Until all ran, or nothing has run for ten seconds."""
    seen, since, end = 0, time.monotonic(), time.monotonic() + _LOAD_S
    while seen < QUEUED and time.monotonic() - since < 10 and time.monotonic() < end:
        time.sleep(0.2)
        if (now := len(here.marks("end"))) > seen:
            seen, since = now, time.monotonic()


def _over(pid: int) -> bool:
    """Whether it has ended; nobody has waited for it yet."""
    with suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True


def _look(true: Callable[[], bool]) -> Iterator[bool]:
    while True:
        yield true()


if __name__ == "__main__":
    main()
