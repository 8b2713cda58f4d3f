"""100,000 queued jobs: what a claim takes, what a submit takes, what they weigh: `python -m bench.backlog`."""

from __future__ import annotations

import time
from functools import partial

from bench import crowd
from bench.alone import alone
from bench.claimers import PROJECTS, Claimer, claimers
from bench.claims import QUEUED
from bench.figures import Bar, Row
from bench.load import quantile
from bench.place import Ground, Place
from bench.rounds import Sample, at_once, in_turn, series

COUNT = QUEUED
_CLAIMS = 300


def rows(ground: Ground, rounds: int, count: int) -> list[Row]:
    """Claims, then submits; `count` is how many jobs are queued."""
    whose = claimers()
    samples = in_turn({one.name: partial(_visit, ground, count, one) for one in whose}, rounds)
    how = f"{_CLAIMS} claims one after another, each committed; Laneway's jobs are of {PROJECTS} projects."
    bar = Bar("at most 5 ms", most=5.0)
    return [
        Row(f"Claim of {count:,} queued, p50", "ms", series(samples, whose, "p50"), how, bar, lower_is_better=True),
        Row(f"Claim of {count:,} queued, p99", "ms", series(samples, whose, "p99"), how, lower_is_better=True),
        *crowd.rows(ground, rounds, count),
    ]


def _visit(ground: Ground, count: int, claimer: Claimer) -> Sample:
    return at_once(_claims(claimer, ground.place(), count))


async def _claims(claimer: Claimer, place: Place, count: int) -> Sample:
    async with claimer.open(place, count) as claim:
        times_ms = []
        for _ in range(_CLAIMS):
            began = time.perf_counter()
            if not await claim():
                raise RuntimeError("nothing was claimed")
            times_ms.append((time.perf_counter() - began) * 1000)
    return Sample({"p50": quantile(times_ms, 0.5), "p99": quantile(times_ms, 0.99)})


if __name__ == "__main__":
    alone(rows, COUNT)
