"""What is kept of one scenario with one seed: its figures, and series for the picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from bench.limits.measure import Figures, Run, measure, offered
from bench.limits.provider import INF
from bench.limits.real.together import Results
from bench.limits.scenario import Scenario
from bench.limits.service import Service
from bench.limits.world import World

EVERY_S = 5


def simulate(scenario: Scenario, seed: int, *, fair: bool = True) -> World:
    """The same scenario in virtual time."""
    world = World(scenario, seed)
    world.run(Service(world, fair=fair))
    return world


def kept(scenario: Scenario, seed: int, results: Results) -> dict[str, Any]:
    """One seed of one scenario, measured and simulated."""
    world, own = simulate(scenario, seed), results.laneway
    plain = simulate(scenario, seed, fair=False) if results.first_come else None
    return {
        "seconds": scenario.seconds,
        "seed": seed,
        "service": _beside_first_come(own.told, results.first_come.told if results.first_come else None),
        "simulated": _beside_first_come(world, plain),
        "others": {name: _figures(told) for name, told in results.others.items()},
        "seen": {"jobs": own.jobs, "scripts": own.scripts, "parts": own.parts},
        "series": {
            "limit": _limit(scenario),
            "service": _series(own.told),
            "simulated": _series(world),
            "others": {name: _series(told) for name, told in results.others.items()},
            "learned": [[one["at"], one["rate_per_s"], one["most_in_flight"]] for one in own.pools],
        },
    }


def _figures(run: Run) -> Figures:
    return {name: round(value, 4) if math.isfinite(value) else -1.0 for name, value in measure(run).items()}


def _beside_first_come(run: Run, plain: Run | None) -> Figures:
    figures = _figures(run)
    if plain is not None:
        figures["first_come_small_p95_s"] = _figures(plain)["small_p95_s"]
        figures["small_to_first_come"] = round(figures["small_p95_s"] / figures["first_come_small_p95_s"], 4)
    return figures


def _series(run: Run) -> dict[str, list[float]]:
    """Means a second over five seconds each; 429s as their sum."""
    tally, seconds = run.tally, int(run.scenario.seconds)
    starts = range(0, seconds, EVERY_S)

    def mean(values: Sequence[float]) -> list[float]:
        return [round(sum(values[start : start + EVERY_S]) / EVERY_S, 2) for start in starts]

    return {
        "accepted": mean(tally.accepted),
        "tokens": mean(tally.accepted_tokens),
        "in_flight": mean(tally.in_flight),
        "refused": [sum(tally.refused[start : start + EVERY_S]) for start in starts],
    }


def _limit(scenario: Scenario) -> list[float]:
    """What the provider takes: tokens a second, calls in flight, or requests a second."""
    hidden, starts = scenario.hidden, range(0, int(scenario.seconds), EVERY_S)
    if hidden.tpm < INF:
        return [hidden.tpm / 60 for _ in starts]
    if min(hidden.most, hidden.knee) < INF:
        return [min(hidden.most, hidden.knee) for _ in starts]
    offers = offered(scenario)
    return [offers[start] for start in starts]
