"""`python -m bench.limits [--scenario a,b] [--seeds 5] [--seed-base 101] [--peers]`: each bar, and whether it holds."""

from __future__ import annotations

import argparse
import sys

from bench.limits.bars import BARS
from bench.limits.measure import Figures, measure
from bench.limits.peers import PEERS, Crowd
from bench.limits.scenario import SCENARIOS, Scenario
from bench.limits.service import Service
from bench.limits.world import World


def run(scenario: Scenario, seed: int, peer: str = "") -> Figures:
    """The figures of one run; where tenants differ, also against first come, first served."""
    world = World(scenario, seed)
    world.run(Crowd(world, PEERS[peer]) if peer else Service(world))
    figures = measure(world)
    if "small_p95_s" in figures:
        plain = World(scenario, seed)
        plain.run(Service(plain, fair=False))
        figures["small_to_first_come"] = figures["small_p95_s"] / measure(plain)["small_p95_s"]
    return figures


def judged(given: argparse.Namespace, name: str, peer: str = "") -> bool:
    """Prints one line, the mean of all seeds; whether its bar holds. A peer's lost jobs are said too."""
    figures = mean([run(SCENARIOS[name], given.seed_base + 17 * number, peer) for number in range(given.seeds)])
    bounds = BARS.get(name, ())
    holds = all(bound.holds(figures) for bound in bounds)
    verdict = ("holds" if holds else "FAILS") if bounds else "-"
    said = [bound.says(figures) for bound in bounds] + ([f"lost {figures['lost']:.0f}"] if peer else [])
    print(f"{'  ' + peer if peer else name:16s} {verdict:6s}{', '.join(said)}", flush=True)
    if given.all_figures or not bounds:
        print("  " + " ".join(f"{key}={value:.4g}" for key, value in figures.items()), flush=True)
    return holds


def mean(rows: list[Figures]) -> Figures:
    return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}


def main() -> int:
    """0 when every bar that was asked for holds."""
    given = _options()
    names = given.scenario.split(",")
    held = tried = 0
    for name in names:
        holds, barred = judged(given, name), name in BARS
        held, tried = held + (holds and barred), tried + barred
        for peer in PEERS if given.peers else ():
            judged(given, name, peer)
    print(f"{held} of {tried}")
    return 0 if held == tried else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenario", default=",".join(BARS), help="names, comma separated; `all` for every one")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--seed-base", type=int, default=101)
    parser.add_argument("--peers", action="store_true", help="how others do in the same situations")
    parser.add_argument("--all-figures", action="store_true")
    given = parser.parse_args()
    if given.scenario == "all":
        given.scenario = ",".join(SCENARIOS)
    if unknown := set(given.scenario.split(",")) - set(SCENARIOS):
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    return given


if __name__ == "__main__":
    sys.exit(main())
