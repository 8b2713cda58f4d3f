"""A pool while Redis is away: a worker keeps to its part of what was last known of it.

It never looks for more than a limit that was met or announced. One of which nothing was known is still looked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from app.domain.clock import Clock
from app.gateway.pools.breaker_away import LocalBreaker
from app.gateway.pools.pool import CallResult, Pool
from app.gateway.pools.shut_away import LocalShut
from app.gateway.pools.waiter import Wanted

# Where nothing was ever heard of the pool, a worker takes one of four for itself.
_UNKNOWN_WORKERS = 4
# What a worker leaves of a limit that it shares by guess (`figures.lua` has the same for what was learned).
_SHARE = 0.85
_CUT = 0.8
# What one answer asks for is kept to for so long, as in `shut.lua`.
_TOLD_S = 60.0
# A pool whose limit nobody had met goes on to grow: twice as fast after so long, as in `figures.lua`.
_RAMP_S = 1.5
# ... where most of it was used, as in `admission.lua`.
_USED = 0.6
# A bucket holds so much of its rate, as in `absence.lua`.
_DEPTH_S = 0.5


@dataclass(slots=True)
class _Bucket:
    """One limit's part: refilled by its rate, never deeper than `depth`."""

    name: str
    rate: float
    depth: float
    level: float
    at_s: float
    spent: float
    asked_s: float

    def wait_s(self, cost: float, now_s: float) -> float:
        """Seconds until a call of that cost fits; one that is larger than the bucket goes when it is full."""
        self.level = min(self.depth, self.level + max(0.0, now_s - self.at_s) * self.rate)
        self.at_s = max(self.at_s, now_s)
        return max(0.0, (min(cost, self.depth) - self.level) / self.rate)

    def spend(self, cost: float) -> None:
        """A call of that cost goes."""
        self.level -= cost
        self.spent += cost

    def grow(self, now_s: float) -> None:
        """Twice as fast, where most of it was used since it was last asked to."""
        if self.spent >= _USED * self.rate * (now_s - self.asked_s):
            self.rate *= 2
            self.depth = max(self.depth, self.rate * _DEPTH_S)
        self.spent, self.asked_s = 0.0, now_s

    def slow_down(self, factor: float, until_s: float) -> None:
        """It was too fast; and empty until then."""
        self.rate, self.level, self.at_s = self.rate * factor, min(self.level, 0.0), until_s


class LocalPool:
    """Made when Redis goes away, from the last snapshot."""

    def __init__(self, pool: Pool, snapshot: bytes, clock: Clock, unnamed_wait_s: float) -> None:
        known = orjson.loads(snapshot) if snapshot else _guess(pool)
        now_s = clock.monotonic()
        self._clock = clock
        self._unnamed_wait_s = unnamed_wait_s
        self._stopped = bool(known.get("stopped"))
        self._cap = min(int(known["cap"]), pool.max_in_flight)
        # Calls at once that it may grow to; 0: a limit was met, or is announced.
        self._most = int(known.get("most", 0))
        self._grows_at_s = now_s + _RAMP_S
        # An empty list is `{}` where Lua wrote it.
        dimensions = known["dimensions"] or ()
        self._buckets = [_Bucket(one["name"], one["rate"], one["depth"], 0.0, now_s, 0.0, now_s) for one in dimensions]
        self._rest_until_s = now_s
        self._cut_s = now_s
        self._breaker = LocalBreaker(known.get("breaker") == "open", now_s, forced=bool(known.get("forced")))
        self._shut = LocalShut(bool(known.get("refused")), now_s)

    @property
    def opened(self) -> bool:
        """Whether its breaker is open."""
        return self._breaker.opened

    @property
    def refused(self) -> bool:
        """Whether its credential is refused."""
        return self._shut.refused

    def ask(self, wanted: Wanted, held: int) -> float | None:
        """0: go, as the probe where its breaker is open, as the trial where its credential is refused.

        Else the seconds until it is worth to ask again; None: after a call has ended.
        """
        now_s = self._clock.monotonic()
        if self._stopped:
            return None
        paced_s = max((one.wait_s(_cost(one.name, wanted), now_s) for one in self._buckets), default=0.0)
        if held >= self._cap or paced_s > 0:
            self._grow(now_s, held)
        if held >= self._cap:
            return None
        wait_s = max(self._rest_until_s - now_s, paced_s, 0.0)
        wait_s = wait_s or self._breaker.wait_s(now_s) or self._shut.wait_s(now_s)
        if wait_s > 0:
            return wait_s
        for bucket in self._buckets:
            bucket.spend(_cost(bucket.name, wanted))
        return 0.0

    def _grow(self, now_s: float, held: int) -> None:
        """Somebody is held back by what was a mere start: let twice as much of it through, if it is time."""
        if not self._most or now_s < self._grows_at_s:
            return
        self._grows_at_s = now_s + _RAMP_S
        if held >= self._cap:
            self._cap = max(self._cap, min(2 * self._cap, self._most))
            return
        for bucket in self._buckets:
            bucket.grow(now_s)

    def learn(self, result: CallResult, probe: bool) -> None:
        """A refusal makes it rest and go slower, once for all calls that were sent before; its breaker counts all."""
        now_s = self._clock.monotonic()
        if result.status == 429:
            growing = self._most > 0
            unnamed_s = _RAMP_S if growing else self._unnamed_wait_s
            wait_s = unnamed_s if result.retry_after_s is None else result.retry_after_s
            self._rest_until_s = max(self._rest_until_s, now_s + min(wait_s, _TOLD_S))
            if growing or now_s - result.took_s > self._cut_s:
                self._slow_down(now_s, 0.5 if growing else _CUT)
        self._breaker.tell(now_s, probe, result.ending)
        self._shut.tell(now_s, result)

    def _slow_down(self, now_s: float, factor: float) -> None:
        """A limit was met: this is what it let through, about."""
        self._most, self._cut_s = 0, now_s
        for bucket in self._buckets:
            bucket.slow_down(factor, self._rest_until_s)


def _guess(pool: Pool) -> Mapping[str, Any]:
    """A part of what the configuration announces."""
    announced = {"requests": pool.requests_per_minute, "tokens": pool.tokens_per_minute}
    share = _SHARE / _UNKNOWN_WORKERS / 60
    return {
        "cap": max(1, pool.max_in_flight // _UNKNOWN_WORKERS),
        "dimensions": [
            {"name": name, "rate": limit * share, "depth": max(1.0, limit * share)}
            for name, limit in announced.items()
            if limit is not None
        ],
    }


def _cost(dimension: str, wanted: Wanted) -> float:
    """What a call takes of a limit, by the controller's name of it."""
    if dimension == "requests":
        return 1.0
    if dimension == "tokens_input":
        return wanted.input_tokens
    if dimension == "tokens_output":
        return wanted.output_tokens
    return wanted.input_tokens + wanted.output_tokens
