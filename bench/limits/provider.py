"""A provider with hidden limits: buckets, counters, a cap, a latency knee, outages, headers."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from bench.limits.buckets import Bucket, FixedMinute, SlidingMinute
from bench.limits.clock import Clock
from bench.limits.traffic import Job

INF = math.inf
_WINDOWS = {"minute": FixedMinute, "sliding": SlidingMinute}


@dataclass(frozen=True, slots=True)
class Hidden:
    """What the provider does not say. Limits for a minute, times in seconds."""

    rpm: float = INF
    tpm: float = INF  # charged as input + max_tokens when the call begins
    most: float = INF  # calls in flight, 429 above
    burst_s: float = 10.0  # a bucket holds so many seconds of refill
    window: str = ""  # requests counted by "minute" or over a "sliding" one, instead of a bucket
    knee: float = INF  # calls in flight from which latency grows in proportion
    first_token_s: float = 0.6
    token_s: float = 0.012
    sigma: float = 0.25  # of latency
    tells: bool = False  # headers, retry-after and a label with each 429
    rejected_cost: float = 0.0  # what a rejected call still takes of a request
    settles: bool = True  # gives back what was not used of max_tokens
    error_rate: float = 0.003
    timeout_s: float = 60.0  # the client's
    reject_s: float = 0.10
    outage: tuple[float, float] | None = None
    changes: tuple[tuple[float, float], ...] = ()  # (when, new rpm)


@dataclass(frozen=True, slots=True)
class Answer:
    """How a call ended; 598 is the client's time-out."""

    status: int
    sent: float
    ended: float
    used: int | None = None
    retry_after: float | None = None
    label: str | None = None
    limits: tuple[float | None, ...] | None = None  # requests: limit, left; tokens: limit, left


Listener = Callable[[Job, Answer], None]


class Provider:
    """Takes a call or refuses it now, and answers at the moment at which the client sees it."""

    def __init__(self, hidden: Hidden, clock: Clock, seed: int, accepted: Callable[[Job], None]) -> None:
        self._is, self._clock, self._accepted = hidden, clock, accepted
        self._chance = random.Random(seed * 7919 + 5)
        self.in_flight = 0
        self.requests = self._bucket(hidden.rpm, hidden.window)
        self.tokens = self._bucket(hidden.tpm, "")
        for when, rpm in hidden.changes:
            clock.at(when, self._change, rpm)

    def _bucket(self, per_minute: float, window: str) -> Bucket | None:
        if per_minute == INF:
            return None
        if window:
            return _WINDOWS[window](per_minute)
        return Bucket(per_minute / 60, max(1.0, per_minute / 60 * self._is.burst_s))

    def _change(self, rpm: float) -> None:
        assert self.requests is not None
        self.requests.change(self._clock.now, rpm / 60, max(1.0, rpm / 60 * self._is.burst_s))

    def call(self, job: Job, listener: Listener) -> None:
        now, outage = self._clock.now, self._is.outage
        if outage and outage[0] <= now < outage[1]:
            return self._down(job, listener)
        label, wait_s = self._refusal(job)
        if label:
            return self._refuse(job, listener, label, wait_s)
        self._take(job)
        self._serve(job, listener)

    def _down(self, job: Job, listener: Listener) -> None:
        """Three calls in ten hang until the client gives up, the others are refused at once."""
        now = self._clock.now
        if self._chance.random() < 0.3:
            self.in_flight += 1
            end = now + self._is.timeout_s
            self._clock.at(end, self._end, job, listener, Answer(598, now, end), False)
        else:
            end = now + 0.2 + 0.4 * self._chance.random()
            self._clock.at(end, listener, job, Answer(503, now, end))

    def _refusal(self, job: Job) -> tuple[str, float]:
        now = self._clock.now
        if self.in_flight >= self._is.most:
            return "conc", 1.0
        if self.requests and (wait_s := self.requests.wait_s(now, 1)) > 0:
            return "req", wait_s
        if self.tokens and (wait_s := self.tokens.wait_s(now, min(job.reserved, self.tokens.depth))) > 0:
            return "tok", wait_s
        return "", 0.0

    def _refuse(self, job: Job, listener: Listener, label: str, wait_s: float) -> None:
        now, hidden = self._clock.now, self._is
        if hidden.rejected_cost and label == "req" and self.requests:
            self.requests.waste(hidden.rejected_cost)
        end = now + hidden.reject_s * (0.7 + 0.6 * self._chance.random())
        after = float(math.ceil(wait_s)) if hidden.tells and label != "conc" else None
        said = label if hidden.tells else None
        self._clock.at(end, listener, job, Answer(429, now, end, None, after, said, self._headers()))

    def _take(self, job: Job) -> None:
        if self.requests:
            self.requests.take(self._clock.now, 1)
        if self.tokens:
            self.tokens.take(self._clock.now, min(job.reserved, self.tokens.depth))
        self.in_flight += 1
        self._accepted(job)

    def _serve(self, job: Job, listener: Listener) -> None:
        now, hidden = self._clock.now, self._is
        took_s = self.unloaded_s(job) * max(1.0, self.in_flight / hidden.knee)
        status = 500 if self._chance.random() < hidden.error_rate else 200
        used: int | None = job.input + job.output
        if took_s > hidden.timeout_s:
            status, used, took_s = 598, None, hidden.timeout_s
        answer = Answer(status, now, now + took_s, used, limits=self._headers())
        self._clock.at(now + took_s, self._end, job, listener, answer, True)

    def unloaded_s(self, job: Job) -> float:
        """What the call takes when nobody else calls."""
        hidden = self._is
        mean = hidden.first_token_s + hidden.token_s * job.output
        return mean * math.exp(hidden.sigma * job.luck - hidden.sigma**2 / 2)

    def _end(self, job: Job, listener: Listener, answer: Answer, charged: bool) -> None:
        self.in_flight -= 1
        if charged and self.tokens and self._is.settles:
            rest = min(job.reserved, self.tokens.depth) - job.input - job.output
            self.tokens.give_back(self._clock.now, max(0, rest))
        listener(job, answer)

    def _headers(self) -> tuple[float | None, ...] | None:
        if not self._is.tells:
            return None
        said: list[float | None] = []
        for limit, bucket in ((self.requests_per_minute, self.requests), (self._is.tpm, self.tokens)):
            said += [limit, float(int(max(0, bucket.sync(self._clock.now))))] if bucket else [None, None]
        return tuple(said)

    @property
    def requests_per_minute(self) -> float:
        return self.requests.rate * 60 if self.requests else INF
