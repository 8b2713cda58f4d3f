"""Rounds of one measurement over several contenders in turn: A B C, A B C, so that drift meets all alike."""

from __future__ import annotations

import asyncio
import statistics
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import uvloop

from bench.contender import Contender, Running
from bench.figures import Series
from bench.load import Load, run
from bench.place import Ground
from bench.processor import Meter

CONNECTIONS = 64


@dataclass(frozen=True, slots=True)
class Sample:
    """One visit's figures by name, and processor milliseconds a job by part."""

    figures: dict[str, float]
    processor_ms: dict[str, float] = field(default_factory=dict)


Measure = Callable[[Running, int], Awaitable[Sample]]
Samples = dict[str, list[Sample]]


def interleaved(
    ground: Ground, contenders: Sequence[Contender], measure: Measure, *, rounds: int, count: int, workers: int
) -> Samples:
    """Each round visits each contender, started anew on an empty place; `count` is the work of one visit."""
    samples: Samples = {contender.name: [] for contender in contenders}
    for number in range(1, rounds + 1):
        for contender in contenders:
            share = max(1, int(count * contender.share))
            with contender.start(ground.place(), workers) as running:
                sample = measured(measure, running, share)
            samples[contender.name].append(sample)
            _say(f"  round {number}: {contender.name}: {_shown(sample)}")
    return samples


def series(samples: Samples, contenders: Sequence[Contender], figure: str) -> list[Series]:
    """That figure of each contender, in their order, with its processor time."""
    return [
        Series(one.name, one.keeps, [sample.figures[figure] for sample in samples[one.name]], _parts(samples[one.name]))
        for one in contenders
    ]


def measured(measure: Measure, running: Running, count: int) -> Sample:
    """One visit's sample."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_awaited(measure, running, count))


async def sent(running: Running, request: bytes, total: int, status: int, connections: int = CONNECTIONS) -> Load:
    """Send a request so many times. Raises RuntimeError when an answer has another status."""
    load = await run(running.host, running.port, request, total=total, connections=min(connections, total))
    if set(load.statuses) != {status}:
        raise RuntimeError(f"expected {total} answers of {status}, got {load.statuses}")
    return load


async def warm(running: Running, *, workers: bool) -> None:
    """A few requests, so that connections are open and code is warm; jobs that were submitted have ended."""
    await sent(running, running.submit, 200, 202)
    if workers:
        await running.ledger.settled()


def meter(running: Running) -> Meter:
    """Processor time from now on."""
    return Meter(running.parts)


async def _awaited(measure: Measure, running: Running, count: int) -> Sample:
    return await measure(running, count)


def _parts(samples: list[Sample]) -> dict[str, float]:
    """Medians."""
    return {
        part: round(statistics.median(sample.processor_ms[part] for sample in samples), 3)
        for part in samples[0].processor_ms
    }


def _shown(sample: Sample) -> str:
    parts = ", ".join(f"{name} {ms:.2f}" for name, ms in sample.processor_ms.items() if ms >= 0.005)
    figures = ", ".join(f"{name} {value:,.1f}" for name, value in sample.figures.items())
    return f"{figures}" + (f"; ms a job: {parts}" if parts else "")


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
