"""What the run came to: counts, rate, waits, tokens, cost and accuracy, from the jobs as the API tells them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from app.cli.dataset import Label, Review
from app.cli.demo.api import Json

UNFINISHED = ("scheduled", "queued", "running", "waiting")


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Of `items`, how many have the raters' label; of the `leaning` ones (not neutral to the raters), the same."""

    items: int
    same: int
    leaning: int
    same_leaning: int

    @property
    def share(self) -> float:
        return self.same / self.items if self.items else math.nan

    @property
    def leaning_share(self) -> float:
        return self.same_leaning / self.leaning if self.leaning else math.nan


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one run over reviews. Waits in seconds from submit to end; `span_s` from the first submit to the last end."""

    items: int
    states: Mapping[str, int]
    span_s: float
    waits_s: tuple[float, ...]
    input_tokens: int
    output_tokens: int
    calls: int
    cost_usd: Decimal
    decided: Mapping[str, int]
    accuracy: Mapping[str, Accuracy]

    @property
    def rate(self) -> float:
        """Jobs a second."""
        return self.items / self.span_s if self.span_s else math.nan

    def wait_s(self, percent: float) -> float:
        """The wait that this many percent of the jobs did not exceed (nearest rank)."""
        if not self.waits_s:
            return math.nan
        return self.waits_s[max(0, math.ceil(len(self.waits_s) * percent / 100) - 1)]


def measure(jobs: Sequence[Json], reviews: Mapping[str, Review]) -> Figures:
    """The figures of these jobs; `metadata.review` of each names its review."""
    ended = [job for job in jobs if job["ended_at"]]
    starts, ends = [seconds(job["created_at"]) for job in jobs], [seconds(job["ended_at"]) for job in ended]
    usage = [job["usage"] for job in jobs]
    done = [job for job in jobs if job["status"] == "succeeded"]
    return Figures(
        items=len(jobs),
        states=Counter(job["status"] for job in jobs),
        span_s=max(ends) - min(starts) if ends else 0.0,
        waits_s=tuple(sorted(seconds(job["ended_at"]) - seconds(job["created_at"]) for job in ended)),
        input_tokens=sum(each["input_tokens"] for each in usage),
        output_tokens=sum(each["output_tokens"] for each in usage),
        calls=sum(each["calls"] for each in usage),
        cost_usd=sum((Decimal(each["cost_usd"]) for each in usage), Decimal(0)),
        decided=Counter(job["output"]["decided_by"] for job in done),
        accuracy={
            "all": _accuracy(done, reviews),
            "local": _accuracy((job for job in done if job["output"]["decided_by"] == "local"), reviews),
            "model": _accuracy((job for job in done if job["output"]["decided_by"] == "model"), reviews),
        },
    )


def complaints(figures: Figures, jobs: Sequence[Json], reviews: Mapping[str, Review], provider_calls: int) -> list[str]:
    """What is off, in words; empty when everything is as it must be."""
    found = Counter(job["metadata"].get("review") for job in jobs)
    twice = sorted(name for name, count in found.items() if count > 1)
    missing = sorted(reviews.keys() - found.keys())
    bad = [f"{job['id']} {job['status']} {job['error']}" for job in jobs if job["status"] != "succeeded"]
    asked = sum(1 for job in jobs if job["usage"]["calls"])
    told = {
        f"{len(missing)} reviews have no job, first {missing[:3]}": missing,
        f"{len(twice)} reviews have more than one job, first {twice[:3]}": twice,
        f"{len(bad)} jobs did not succeed: {'; '.join(bad[:3])}": bad,
        f"{figures.decided.get('model', 0)} jobs say that the model decided, {asked} called it": (
            not bad and asked != figures.decided.get("model", 0)
        ),
        f"the jobs count {figures.calls} model calls, the provider {provider_calls}": figures.calls != provider_calls,
        f"{figures.calls} model calls cost {figures.cost_usd} dollars": figures.calls > 0 and figures.cost_usd <= 0,
    }
    return [words for words, wrong in told.items() if wrong]


def off_by(accuracy: Accuracy, stated: float) -> bool:
    """Whether a share lies further from the stated one than chance explains (four standard deviations)."""
    if not accuracy.items:
        return False
    return abs(accuracy.share - stated) > 4 * math.sqrt(stated * (1 - stated) / accuracy.items) + 1 / accuracy.items


def seconds(time: str) -> float:
    """An RFC 3339 time as seconds since 1970."""
    return datetime.fromisoformat(time).timestamp()


def _accuracy(jobs: Iterable[Json], reviews: Mapping[str, Review]) -> Accuracy:
    pairs: list[tuple[Label, str]] = []
    for job in jobs:
        pairs.append((reviews[job["metadata"]["review"]].label, job["output"]["label"]))
    leaning = [(true, said) for true, said in pairs if true != "neutral"]
    return Accuracy(len(pairs), _same(pairs), len(leaning), _same(leaning))


def _same(pairs: Iterable[tuple[str, str]]) -> int:
    return sum(1 for true, said in pairs if true == said)
