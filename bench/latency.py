"""How long a client waits for a no-op's result on an idle stack: `python -m bench.latency`."""

from __future__ import annotations

from dataclasses import replace

from bench.alone import alone
from bench.contender import Running
from bench.contenders import DIY, DIY_TUNED, LANEWAY, with_queues
from bench.figures import Bar, Row
from bench.place import Ground
from bench.processor import Meter
from bench.rounds import Sample, interleaved, sent, series, warm

COUNT = 100


def rows(ground: Ground, rounds: int, count: int) -> list[Row]:
    """p50 and p95."""
    contenders = with_queues(LANEWAY, DIY_TUNED, replace(DIY, share=0.1))
    samples = interleaved(ground, contenders, sample, rounds=rounds, count=count, workers=2)
    how = (
        f"{count} no-op jobs one after another on one connection, each waited for in its own request (a tenth of them "
        "with defaults)."
    )
    made = {figure: series(samples, contenders, figure) for figure in ("p50", "p95")}
    bar = Bar("at most 10 ms, aim 5", most=10.0)
    return [
        Row("Idle latency, submit to result, p50", "ms", made["p50"], how, bar, lower_is_better=True),
        Row("Idle latency, submit to result, p95", "ms", made["p95"], how, lower_is_better=True),
    ]


async def sample(running: Running, count: int) -> Sample:
    """One visit."""
    await warm(running, workers=True)
    await sent(running, running.request("noop", True), max(1, count // 5), 201, connections=1)
    used = Meter(running.parts)
    load = await sent(running, running.request("noop", True), count, 201, connections=1)
    return Sample({"p50": load.ms(0.5), "p95": load.ms(0.95)}, used.ms_each(count))


if __name__ == "__main__":
    alone(rows, COUNT)
