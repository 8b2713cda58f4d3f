"""Jobs: when they arrive, of which lane and tenant, how large."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

REAL_TIME, BULK = 0, 1


@dataclass(slots=True)
class Job:
    """One call to make; `attempts` counts those made. Tokens: input, output, and the bound on output."""

    id: int
    lane: int
    tenant: str
    arrives: float
    input: int
    output: int
    max_tokens: int
    luck: float
    attempts: int = 0

    @property
    def reserved(self) -> int:
        return self.input + self.max_tokens


@dataclass(frozen=True, slots=True)
class Traffic:
    """Arrivals a second by lane, and bulk jobs that wait from the start."""

    real_time: float = 1.5
    bulk: float = 0.0
    backlog: int = 40000
    input: tuple[float, float] = (1500, 0.5)  # mean, sigma
    output: tuple[float, float] = (280, 0.6)
    max_tokens: int = 1000
    tenants: tuple[tuple[str, float], ...] = (("a", 1.0),)
    burst: tuple[float, float, float] | None = None  # start, end, factor
    late: float = 0.0  # when the backlog of all tenants but the first arrives


def jobs(traffic: Traffic, seed: int, seconds: float) -> list[Job]:
    """All jobs of a run; the same for each policy."""
    chance = random.Random(seed)
    found: list[Job] = []
    for lane, rate in ((REAL_TIME, traffic.real_time), (BULK, traffic.bulk)):
        for when in _arrivals(chance, rate, traffic.burst, seconds):
            found.append(_job(chance, traffic, len(found), lane, when))
    for _ in range(traffic.backlog):
        job = _job(chance, traffic, len(found), BULK, 0.0)
        job.arrives = 0.0 if job.tenant == traffic.tenants[0][0] else traffic.late
        found.append(job)
    return found


def _arrivals(
    chance: random.Random, rate: float, burst: tuple[float, float, float] | None, until: float
) -> Iterator[float]:
    now = 0.0
    while rate > 0:
        factor = burst[2] if burst and burst[0] <= now < burst[1] else 1.0
        now += chance.expovariate(rate * factor)
        if now >= until:
            return
        yield now


def _job(chance: random.Random, traffic: Traffic, number: int, lane: int, when: float) -> Job:
    names, shares = zip(*traffic.tenants, strict=True)
    tenant = chance.choices(names, shares)[0]
    sizes = _size(chance, traffic.input, 40000), _size(chance, traffic.output, traffic.max_tokens)
    return Job(number, lane, tenant, when, *sizes, traffic.max_tokens, chance.gauss(0, 1))


def _size(chance: random.Random, shape: tuple[float, float], most: int) -> int:
    mean, sigma = shape
    return int(min(most, max(1, chance.lognormvariate(math.log(mean) - sigma**2 / 2, sigma))))
