"""Durable submits a second of one API process, its workers stopped: `python -m bench.submits`."""

from __future__ import annotations

from dataclasses import replace

from bench.alone import alone
from bench.contender import Running
from bench.contenders import DIY, DIY_TUNED, LANEWAY
from bench.figures import Bar, Row
from bench.place import Ground
from bench.processor import Meter
from bench.rounds import CONNECTIONS, Sample, interleaved, sent, series, warm

COUNT = 4000


def rows(ground: Ground, rounds: int, count: int) -> list[Row]:
    """One row."""
    contenders = (LANEWAY, DIY_TUNED, replace(DIY, share=1.0))
    samples = interleaved(ground, contenders, sample, rounds=rounds, count=count, workers=0)
    how = f"{count:,} no-op jobs over {CONNECTIONS} connections to one API process; no worker runs."
    bar = Bar("at least 1.5x", ratio=1.5)
    return [Row("Durable submits, one API process", "jobs/s", series(samples, contenders, "jobs/s"), how, bar)]


async def sample(running: Running, count: int) -> Sample:
    """One visit."""
    await warm(running, workers=False)
    used = Meter(running.parts)
    load = await sent(running, running.request("noop", False), count, 202)
    return Sample({"jobs/s": load.rate}, used.ms_each(count))


if __name__ == "__main__":
    alone(rows, COUNT)
