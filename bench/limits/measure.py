"""What a run comes to: figures by name; shares in percent, times in seconds."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bench.limits.provider import INF
from bench.limits.scenario import Scenario
from bench.limits.traffic import REAL_TIME
from bench.limits.world import World

Figures = dict[str, float]


def quantile(values: Sequence[float], q: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))] if ordered else math.nan


def measure(world: World) -> Figures:
    """All figures that make sense for the scenario."""
    tally, seconds = world.tally, int(world.scenario.seconds)
    attempts = sum(tally.attempts[:seconds])
    figures = {
        "use": _use(world),
        "refused": 100 * sum(tally.refused[:seconds]) / max(1, attempts),
        "wasted": 100 * tally.wasted / max(1, tally.useful),
        "attempts": float(attempts),
        "lost": float(tally.lost),
        "bulk_share": 100 * len(tally.bulk) / max(1, len(tally.bulk) + len(tally.real_time)),
        "scripts": tally.scripts / max(1, attempts),
    }
    return figures | _real_time(world) | _special(world)


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
def _use(world: World) -> float:
    hidden, tally, seconds = world.scenario.hidden, world.tally, int(world.scenario.seconds)
    if hidden.tpm < INF:
        return 100 * sum(tally.accepted_tokens[:seconds]) / (hidden.tpm / 60 * (seconds + hidden.burst_s))
    if hidden.most < INF:
        return 100 * sum(tally.in_flight[:seconds]) / (hidden.most * seconds)
    if hidden.knee < INF:
        mean_s = hidden.first_token_s + hidden.token_s * world.scenario.traffic.output[0]
        return 100 * sum(tally.done[:seconds]) / (hidden.knee / mean_s * seconds)
    burst = 0.0 if hidden.window == "minute" else hidden.rpm / 60 * hidden.burst_s
    return 100 * sum(tally.accepted[:seconds]) / (sum(offered(world.scenario)) + burst)


# Jobs that were not answered count as very late; the first seconds are the start, the last are not over.
def _real_time(world: World) -> Figures:
    first, last = 30.0, world.scenario.seconds - 60
    took = [wait_s for arrives, wait_s in world.tally.real_time if first <= arrives <= last]
    wanted = [job for job in world.jobs if job.lane == REAL_TIME and first <= job.arrives <= last]
    took += [world.scenario.seconds] * (len(wanted) - len(took))
    unloaded = quantile([world.provider.unloaded_s(job) for job in wanted], 0.95)
    return {"p50_s": quantile(took, 0.5), "p95_s": quantile(took, 0.95), "slower": quantile(took, 0.95) / unloaded}


def _special(world: World) -> Figures:
    scenario = world.scenario
    figures: Figures = {}
    if scenario.hidden.changes:
        figures["up_again_s"] = up_again_s(world, int(scenario.hidden.changes[-1][0]))
    if scenario.hidden.outage:
        figures |= _outage(world, *map(int, scenario.hidden.outage))
    if scenario.traffic.burst:
        figures |= _burst(world, *scenario.traffic.burst[:2])
    if scenario.redis_away:
        figures |= _away(world, *map(int, scenario.redis_away))
    if len(scenario.traffic.tenants) > 1:
        figures["small_p95_s"] = _small(world)
    return figures


def up_again_s(world: World, begin: int, share: float = 0.9, window: int = 15) -> float:
    """Seconds until 15 s in a row take 90 % of what is offered, with at most 5 % refused."""
    tally, offers = world.tally, offered(world.scenario)
    for second in range(begin, len(offers) - window):
        span = slice(second, second + window)
        refused, attempts = sum(tally.refused[span]), sum(tally.attempts[span])
        if sum(tally.accepted[span]) >= share * sum(offers[span]) and refused <= 0.05 * attempts:
            return float(second - begin)
    return float(len(offers) - begin)


def _outage(world: World, begin: int, end: int) -> Figures:
    after = [sent for sent in world.tally.sent_well if sent >= end]
    first_s = min(after) - end if after else world.scenario.seconds - end
    return {"outage_attempts": float(sum(world.tally.attempts[begin:end])), "first_success_s": first_s}


def _burst(world: World, begin: float, end: float) -> Figures:
    took = [wait_s for arrives, wait_s in world.tally.real_time if begin <= arrives <= end + 10]
    wanted = [job for job in world.jobs if job.lane == REAL_TIME and begin <= job.arrives <= end + 10]
    took += [world.scenario.seconds] * (len(wanted) - len(took))
    unloaded = quantile([world.provider.unloaded_s(job) for job in wanted], 0.95)
    return {"burst_p95_s": quantile(took, 0.95), "burst_slower": quantile(took, 0.95) / unloaded}


def _away(world: World, begin: int, end: int) -> Figures:
    tally, offers = world.tally, offered(world.scenario)
    attempts = max(1, sum(tally.attempts[begin:end]))
    return {
        "away_use": 100 * sum(tally.accepted[begin:end]) / sum(offers[begin:end]),
        "away_refused": 100 * sum(tally.refused[begin:end]) / attempts,
    }


def _small(world: World) -> float:
    flood, late = world.scenario.traffic.tenants[0][0], world.scenario.traffic.late
    waits = [wait_s for tenant, wait_s in world.tally.bulk if tenant != flood]
    wanted = sum(job.lane != REAL_TIME and job.tenant != flood for job in world.jobs)
    return quantile(waits + [world.scenario.seconds - late] * (wanted - len(waits)), 0.95)
