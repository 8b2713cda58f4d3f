"""All benchmarks, or some: `python -m bench [--rows a,b] [--rounds 5] [--share 1] [--write]`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench import backlog, calls, checks, idle, latency, polls, submits, through
from bench.chart import draw
from bench.facts import facts
from bench.figures import Row
from bench.page import tables
from bench.place import Ground, ground
from bench.process import ROOT
from bench.record import Record, keep, load
from docs.generate import renewed

_PAGE, _PICTURE = ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "benchmarks.svg"


@dataclass(frozen=True, slots=True)
class _Benchmark:
    rows: Callable[[Ground, int, int], list[Row]]
    count: int


_ALL = {
    "a": _Benchmark(submits.rows, submits.COUNT),
    "b": _Benchmark(through.rows, through.COUNT),
    "c": _Benchmark(latency.rows, latency.COUNT),
    "d": _Benchmark(calls.rows, calls.COUNT),
    "e": _Benchmark(checks.rows, checks.COUNT),
    "f": _Benchmark(polls.rows, polls.COUNT),
    "g": _Benchmark(backlog.rows, backlog.COUNT),
    "h": _Benchmark(idle.rows, idle.COUNT),
}


def main() -> None:
    """Run what was asked for; print it, and with `--write` renew the page, its record and its picture."""
    given = _options()
    measured = []
    with ground() as servers:
        for letter in given.rows.split(","):
            measured.append(_run(servers, letter, given.rounds, given.share))
            if given.write:
                _write(measured[-1])
    sys.stdout.write(f"{tables(measured)}\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", default=",".join(_ALL), help="letters, comma separated")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--share", type=float, default=1.0, help="of the usual work of a round, for a quick look")
    parser.add_argument("--write", action="store_true", help="renew docs/benchmarks.*")
    given = parser.parse_args()
    if unknown := set(given.rows.split(",")) - set(_ALL):
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    return given


def _run(servers: Ground, letter: str, rounds: int, share: float) -> Record:
    began, one = time.perf_counter(), _ALL[letter]
    sys.stderr.write(f"{letter}:\n")
    rows = one.rows(servers, rounds, max(1, int(one.count * share)))
    sys.stderr.write(f"{letter} took {time.perf_counter() - began:.0f} s\n")
    return Record(letter, facts(servers.place(), rounds), rows)


def _write(record: Record) -> None:
    keep(record)
    _PAGE.write_text(renewed(_PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    _PICTURE.write_text(draw(load()), encoding="utf-8")


if __name__ == "__main__":
    main()
