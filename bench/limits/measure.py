"""What a run comes to: figures by name; shares in percent, times in seconds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from bench.limits.provider import INF
from bench.limits.scenario import Scenario
from bench.limits.tally import Tally
from bench.limits.traffic import REAL_TIME, Job

Figures = dict[str, float]


class Run(Protocol):
    """What is measured: a scenario, what was counted in it, its jobs. In virtual time or on the real service."""

    @property
    def scenario(self) -> Scenario: ...
    @property
    def tally(self) -> Tally: ...
    @property
    def jobs(self) -> Sequence[Job]: ...
    def unloaded_s(self, job: Job) -> float:
        """What its call takes when nobody else calls."""
        ...


def quantile(values: Sequence[float], q: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))] if ordered else math.nan


def measure(run: Run) -> Figures:
    """All figures that make sense for the scenario."""
    tally, seconds = run.tally, int(run.scenario.seconds)
    attempts = sum(tally.attempts[:seconds])
    figures = {
        "use": _use(run),
        "refused": 100 * sum(tally.refused[:seconds]) / max(1, attempts),
        "wasted": 100 * tally.wasted / max(1, tally.useful),
        "attempts": float(attempts),
        "lost": float(tally.lost),
        "bulk_share": 100 * len(tally.bulk) / max(1, len(tally.bulk) + len(tally.real_time)),
        "scripts": tally.scripts / max(1, attempts),
    }
    return figures | _real_time(run) | _special(run)


def offered(scenario: Scenario) -> list[float]:
    """Requests that the provider would have taken in each second."""
    rpm, offers = scenario.hidden.rpm, []
    for second in range(int(scenario.seconds)):
        for when, changed in scenario.hidden.changes:
            rpm = changed if when <= second else rpm
        outage = scenario.hidden.outage
        offers.append(0.0 if outage and outage[0] <= second < outage[1] else rpm / 60)
    return offers


# Of what the provider had to give: tokens, or calls in flight, or what the knee lets through, or requests.
def _use(run: Run) -> float:
    hidden, tally, seconds = run.scenario.hidden, run.tally, int(run.scenario.seconds)
    if hidden.tpm < INF:
        return 100 * sum(tally.accepted_tokens[:seconds]) / (hidden.tpm / 60 * (seconds + hidden.burst_s))
    if hidden.most < INF:
        return 100 * sum(tally.in_flight[:seconds]) / (hidden.most * seconds)
    if hidden.knee < INF:
        mean_s = hidden.first_token_s + hidden.token_s * run.scenario.traffic.output[0]
        return 100 * sum(tally.done[:seconds]) / (hidden.knee / mean_s * seconds)
    burst = 0.0 if hidden.window == "minute" else hidden.rpm / 60 * hidden.burst_s
    return 100 * sum(tally.accepted[:seconds]) / (sum(offered(run.scenario)) + burst)


# Jobs that were not answered count as very late; the first seconds are the start, the last are not over.
def _real_time(run: Run) -> Figures:
    first, last = 30.0, run.scenario.seconds - 60
    took = [wait_s for arrives, wait_s in run.tally.real_time if first <= arrives <= last]
    wanted = [job for job in run.jobs if job.lane == REAL_TIME and first <= job.arrives <= last]
    took += [run.scenario.seconds] * (len(wanted) - len(took))
    unloaded = quantile([run.unloaded_s(job) for job in wanted], 0.95)
    return {"p50_s": quantile(took, 0.5), "p95_s": quantile(took, 0.95), "slower": quantile(took, 0.95) / unloaded}


def _special(run: Run) -> Figures:
    scenario = run.scenario
    figures: Figures = {}
    if scenario.hidden.changes:
        figures["up_again_s"] = up_again_s(run, int(scenario.hidden.changes[-1][0]))
    if scenario.hidden.outage:
        figures |= _outage(run, *map(int, scenario.hidden.outage))
    if scenario.traffic.burst:
        figures |= _burst(run, *scenario.traffic.burst[:2])
    if scenario.redis_away:
        figures |= _away(run, *map(int, scenario.redis_away))
    if len(scenario.traffic.tenants) > 1:
        figures["small_p95_s"] = _small(run)
    return figures


def up_again_s(run: Run, begin: int, share: float = 0.9, window: int = 15) -> float:
    """Seconds until 15 s in a row take 90 % of what is offered, with at most 5 % refused."""
    tally, offers = run.tally, offered(run.scenario)
    for second in range(begin, len(offers) - window):
        span = slice(second, second + window)
        refused, attempts = sum(tally.refused[span]), sum(tally.attempts[span])
        if sum(tally.accepted[span]) >= share * sum(offers[span]) and refused <= 0.05 * attempts:
            return float(second - begin)
    return float(len(offers) - begin)


def _outage(run: Run, begin: int, end: int) -> Figures:
    after = [sent for sent in run.tally.sent_well if sent >= end]
    first_s = min(after) - end if after else run.scenario.seconds - end
    return {"outage_attempts": float(sum(run.tally.attempts[begin:end])), "first_success_s": first_s}


def _burst(run: Run, begin: float, end: float) -> Figures:
    took = [wait_s for arrives, wait_s in run.tally.real_time if begin <= arrives <= end + 10]
    wanted = [job for job in run.jobs if job.lane == REAL_TIME and begin <= job.arrives <= end + 10]
    took += [run.scenario.seconds] * (len(wanted) - len(took))
    unloaded = quantile([run.unloaded_s(job) for job in wanted], 0.95)
    return {"burst_p95_s": quantile(took, 0.95), "burst_slower": quantile(took, 0.95) / unloaded}


def _away(run: Run, begin: int, end: int) -> Figures:
    tally, offers = run.tally, offered(run.scenario)
    attempts = max(1, sum(tally.attempts[begin:end]))
    return {
        "away_use": 100 * sum(tally.accepted[begin:end]) / sum(offers[begin:end]),
        "away_refused": 100 * sum(tally.refused[begin:end]) / attempts,
    }


def _small(run: Run) -> float:
    flood, late = run.scenario.traffic.tenants[0][0], run.scenario.traffic.late
    waits = [wait_s for tenant, wait_s in run.tally.bulk if tenant != flood]
    wanted = sum(job.lane != REAL_TIME and job.tenant != flood for job in run.jobs)
    return quantile(waits + [run.scenario.seconds - late] * (wanted - len(waits)), 0.95)
