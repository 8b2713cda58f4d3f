"""Three checks of one second each at once, submitted and waited for: `python -m bench.checks`."""

from __future__ import annotations

from functools import partial

from bench.alone import alone
from bench.contender import Running
from bench.contenders import DIY_TUNED, LANEWAY
from bench.figures import Bar, Row
from bench.place import Ground
from bench.provider import provider
from bench.rounds import Sample, in_turn, sent, series, visit, warm

COUNT = 3
_CHECK_MS = 1000


def rows(ground: Ground, rounds: int, count: int) -> list[Row]:
    """One row."""
    contenders = (LANEWAY, DIY_TUNED)
    with provider(ground.folder, _CHECK_MS) as simulated:
        place = partial(ground.place, simulated.url)
        samples = in_turn({one.name: partial(visit, place, one, sample, count, 2) for one in contenders}, rounds)
    how = (
        f"A job asks a model three questions at once, {_CHECK_MS} ms each, and its client waits for it; the median of "
        f"{count} jobs in a round."
    )
    bar = Bar("at most 1,050 ms", most=1.05 * _CHECK_MS)
    return [
        Row("Three parallel checks of 1 s", "ms", series(samples, contenders, "ms"), how, bar, lower_is_better=True)
    ]


async def sample(running: Running, count: int) -> Sample:
    """One visit."""
    await warm(running, workers=True)
    await sent(running, running.request("checks", True), 1, 201)
    load = await sent(running, running.request("checks", True), count, 201, connections=1)
    return Sample({"ms": load.ms(0.5)})


if __name__ == "__main__":
    alone(rows, COUNT)
