"""A pool whose limit nobody had met when Redis went away: it grows where something holds calls back, and only there."""

from __future__ import annotations

import orjson

from app.domain.clock import SystemClock
from app.gateway.pools.away import LocalPool
from app.gateway.pools.pool import CallResult, Pool
from app.gateway.pools.waiter import Wanted

_WANTED = Wanted("bulk", "p", 100, 100, 125.0, 10.0)
_CALL_S = 8.0


class Hand(SystemClock):
    """Moved by hand."""

    at_s = 0.0

    def monotonic(self) -> float:
        return self.at_s


class Worker:
    """One alone, with more to do than goes."""

    def __init__(self, cap: int, most: int, rate: float) -> None:
        self.clock = Hand()
        dimensions = [{"name": "requests", "rate": rate, "depth": max(2.0, rate / 2)}]
        known = {"cap": cap, "most": most, "dimensions": dimensions, "breaker": "closed"}
        self.pool = LocalPool(Pool("main/mini", 200), orjson.dumps(known), self.clock, 60.0)
        self.flying: list[float] = []

    def work(self, seconds: float, per_s: float | None = None) -> tuple[int, int]:
        """Calls that a provider took, which takes so many a second, and those it refused."""
        taken, refused, until = 0, 0, self.clock.at_s + seconds
        left = 0.0
        while self.clock.at_s < until:
            self.clock.at_s += 0.05
            left = min(5.0, left + 0.05 * per_s) if per_s else 1.0
            self.flying = [end for end in self.flying if end > self.clock.at_s]
            while self.pool.ask(_WANTED, len(self.flying)) == 0:
                if left < 1:
                    refused += 1
                    self.pool.learn(CallResult(429, 0.05), False)
                    continue
                taken, left = taken + 1, left - 1 if per_s else 1.0
                self.flying.append(self.clock.at_s + _CALL_S)
        return taken, refused


def test_where_the_cap_holds_the_rate_does_not_grow() -> None:
    worker = Worker(cap=4, most=90, rate=0.85)
    worker.work(60.0)
    # Eleven a second went; of a limit of five a few cuts find out, with a minute's rest after each.
    taken, refused = worker.work(600.0, per_s=5.0)
    assert taken > 600
    assert refused < 15
    taken, refused = worker.work(600.0, per_s=5.0)
    assert taken > 0.5 * 5 * 600
    assert refused < 5


def test_where_the_rate_holds_it_grows_until_it_does_not() -> None:
    worker = Worker(cap=90, most=90, rate=0.85)
    worker.work(30.0)
    taken, _ = worker.work(16.0)
    # Ninety at once, eight seconds each.
    assert taken >= 150
