"""No-op jobs a second from submit to recorded end, two workers: `python -m bench.through`."""

from __future__ import annotations

import time

from bench.alone import alone
from bench.contender import Running, all_ended
from bench.contenders import DIY, DIY_TUNED, LANEWAY, with_queues
from bench.figures import Bar, Row
from bench.place import Ground
from bench.processor import Meter
from bench.rounds import CONNECTIONS, Sample, interleaved, sent, series, warm

COUNT = 3000


def rows(ground: Ground, rounds: int, count: int) -> list[Row]:
    """One row."""
    contenders = with_queues(LANEWAY, DIY_TUNED, DIY)
    samples = interleaved(ground, contenders, sample, rounds=rounds, count=count, workers=2)
    how = (
        f"{count:,} no-op jobs over {CONNECTIONS} connections, from the first submit to the last end, as recorded "
        "where each is kept (a fifth of them with defaults, half with procrastinate)."
    )
    bar = Bar("at least 2x, aim 4x", ratio=2.0)
    return [Row("No-op jobs end to end, two workers", "jobs/s", series(samples, contenders, "jobs/s"), how, bar)]


async def sample(running: Running, count: int) -> Sample:
    """One visit. Raises RuntimeError unless every job has ended well."""
    await warm(running, workers=True)
    before = await running.ledger.finished()
    used, began = Meter(running.parts), time.perf_counter()
    await sent(running, running.request("noop", False), count, 202)
    await all_ended(running, count, before)
    took_s = time.perf_counter() - began
    return Sample({"jobs/s": count / took_s}, used.ms_each(count))


if __name__ == "__main__":
    alone(rows, COUNT)
