"""Rounds of one measurement over several contenders in turn: A B C, A B C, so that drift meets all alike."""

from __future__ import annotations

import asyncio
import statistics
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import uvloop

from bench.contender import Contender, Running, Who, all_ended
from bench.figures import Series
from bench.load import Load, run
from bench.place import Ground, Place

Result = TypeVar("Result")

CONNECTIONS = 64
_WARM = 200


@dataclass(frozen=True, slots=True)
class Sample:
    """One visit's figures by name, and processor milliseconds a job by part."""

    figures: dict[str, float]
    processor_ms: dict[str, float] = field(default_factory=dict)


Measure = Callable[[Running, int], Coroutine[Any, Any, Sample]]
Samples = dict[str, list[Sample]]


def interleaved(
    ground: Ground, contenders: Sequence[Contender], measure: Measure, *, rounds: int, count: int, workers: int
) -> Samples:
    """The same measurement of each contender in each round; `count` is the work of one visit."""
    visits = {one.name: partial(visit, ground.place, one, measure, count, workers) for one in contenders}
    return in_turn(visits, rounds)


def visit(make: Callable[[], Place], contender: Contender, measure: Measure, count: int, workers: int) -> Sample:
    """Start a contender on a new place, measure its share of the work, stop it."""
    with contender.start(make(), workers) as running:
        return at_once(measure(running, max(1, int(count * contender.share))))


def in_turn(visits: Mapping[str, Callable[[], Sample]], rounds: int) -> Samples:
    """The samples of so many rounds of these visits."""
    samples: Samples = {name: [] for name in visits}
    for number in range(1, rounds + 1):
        for name, visit in visits.items():
            samples[name].append(visit())
            _say(f"  round {number}: {name}: {_shown(samples[name][-1])}")
    return samples


def series(samples: Samples, whose: Sequence[Who], figure: str) -> list[Series]:
    """That figure of each contender, in their order, with its processor time."""
    return [
        Series(one.name, one.keeps, [sample.figures[figure] for sample in samples[one.name]], _parts(samples[one.name]))
        for one in whose
    ]


def at_once(work: Coroutine[Any, Any, Result]) -> Result:
    """Run it to its end; on uvloop, as the load itself should cost little."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


async def sent(running: Running, request: bytes, total: int, status: int, connections: int = CONNECTIONS) -> Load:
    """Send a request so many times. Raises RuntimeError when an answer has another status."""
    load = await run(running.host, running.port, request, total=total, connections=min(connections, total))
    if set(load.statuses) != {status}:
        raise RuntimeError(f"expected {total} answers of {status}, got {load.statuses}")
    return load


async def warm(running: Running, *, workers: bool) -> None:
    """A few requests, so that connections are open and code is warm; jobs that were submitted have ended."""
    before = await running.ledger.finished() if workers else 0
    await sent(running, running.request("noop", False), _WARM, 202)
    if workers:
        await all_ended(running, _WARM, before)


def _parts(samples: list[Sample]) -> dict[str, float]:
    """Medians."""
    return {
        part: round(statistics.median(sample.processor_ms[part] for sample in samples), 3)
        for part in samples[0].processor_ms
    }


def _shown(sample: Sample) -> str:
    parts = ", ".join(f"{name} {ms:.2f}" for name, ms in sample.processor_ms.items() if ms >= 0.005)
    figures = ", ".join(f"{name} {value:,.1f}" for name, value in sample.figures.items())
    return f"{figures}" + (f"; processor ms: {parts}" if parts else "")


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
