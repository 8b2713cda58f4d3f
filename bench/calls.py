"""Model calls of 200 ms a second of one worker, 200 at once, over real HTTP: `python -m bench.calls`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

from bench.alone import alone
from bench.contender import Contender, Who, all_ended
from bench.contenders import DIY_TUNED, LANEWAY
from bench.figures import Bar, Row
from bench.peers.bare_calls import ENDED
from bench.peers.given import IN_FLIGHT
from bench.place import Ground
from bench.process import process
from bench.processor import Meter
from bench.provider import Provider, provider
from bench.rounds import Sample, at_once, in_turn, sent, series

COUNT = 3000
_CALL_MS = 200
_IDEAL = IN_FLIGHT * 1000 / _CALL_MS
_BARE = Who("httpx and asyncio alone: the ceiling", "nothing")


def rows(ground: Ground, rounds: int, count: int) -> list[Row]:
    """One row."""
    with provider(ground.folder, _CALL_MS) as simulated:
        visits: dict[str, Callable[[], Sample]] = {
            one.name: partial(_queued, ground, simulated, count, one) for one in (LANEWAY, DIY_TUNED)
        }
        visits[_BARE.name] = partial(_bare, ground, simulated, count)
        samples = in_turn(visits, rounds)
    how = (
        f"{count:,} jobs wait in the queue, each a model call of {_CALL_MS} ms; then one worker starts, {IN_FLIGHT} at "
        f"once. From the first call's arrival to the last one's end, by the provider's log; ideal {_IDEAL:,.0f}."
    )
    bar = Bar("at least 900, aim 970", least=0.9 * _IDEAL)
    return [Row("Model calls of 200 ms", "calls/s", series(samples, (LANEWAY, DIY_TUNED, _BARE), "calls/s"), how, bar)]


def _queued(ground: Ground, simulated: Provider, count: int, contender: Contender) -> Sample:
    """The queue is filled before its worker starts."""
    with contender.start(ground.place(simulated.url), 0) as running:
        simulated.forget()
        at_once(sent(running, running.request("call", False), count, 202))
        used = Meter({**running.parts, "provider": simulated.pid})
        with running.work("worker-1") as worker:
            used.join("worker-1", worker.pid)
            at_once(all_ended(running, count))
            return _sample(simulated, used, count)


def _bare(ground: Ground, simulated: Provider, count: int) -> Sample:
    """No queue, no database."""
    simulated.forget()
    place = ground.place(simulated.url)
    used = Meter({"provider": simulated.pid})
    argv = (sys.executable, "-m", "bench.peers.bare_calls", str(count))
    with process("bare", argv, place.folder / "bare.log", ENDED, BENCH_PROVIDER_URL=simulated.url):
        return _sample(simulated, used, count)


def _sample(simulated: Provider, used: Meter, count: int) -> Sample:
    processor_ms = used.ms_each(count)
    seconds, at_most = simulated.window(count)
    return Sample({"calls/s": count / seconds, "in flight": at_most}, processor_ms)


if __name__ == "__main__":
    alone(rows, COUNT)
