"""Runs fault experiments: `python -m tests.faults [--long] [--only a,b] [--seeds N] [--seed FIRST] [--write]`.

Prints each line of the table with its seed, and ends with 1 when anything was lost, doubled or else wrong; with
`--long` also when T passes its bound.
"""

from __future__ import annotations

import argparse
import sys
import time

from bench.facts import facts
from bench.place import Place
from docs.generate import renewed
from tests.faults.record import RECORD, keep
from tests.faults.scene import Stage, stage
from tests.faults.suite import SHORT, SUITE
from tests.faults.table import HEAD, Figures, figures, not_run, text
from tests.faults.trial import CannotRun, Experiment, Outcome, run

_LONG_SEEDS = 5


def main() -> None:
    """As the arguments say."""
    given = _options()
    names = given.only.split(",") if given.only else list(SUITE if given.long else SHORT)
    seeds = range(given.seed, given.seed + (given.seeds or (_LONG_SEEDS if given.long else 1)))
    began, rows = time.monotonic(), list[Figures]()
    print(HEAD, flush=True)
    with stage() as place:
        for name in names:
            found = _all_runs(place, name, seeds)
            rows += found
            if given.write:
                _write(place, name, found, len(seeds))
    took_s = time.monotonic() - began
    bad = [row for row in rows if row.wrong or (given.long and not row.holds)]
    print(f"{len(rows)} lines, {len(bad)} FAIL; seeds {seeds[0]} to {seeds[-1]}; {took_s:.0f} s")
    sys.exit(bool(bad))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--long", action="store_true", help="all experiments, and T is judged")
    parser.add_argument("--only", help=f"these, comma separated: {', '.join(SUITE)}")
    parser.add_argument("--seeds", type=int, help=f"how many; {_LONG_SEEDS} with --long, else 1")
    parser.add_argument("--seed", type=int, default=1, help="the first of them; a run repeats by it")
    parser.add_argument("--write", action="store_true", help="renew docs/faults.md")
    given = parser.parse_args()
    if unknown := set(given.only.split(",") if given.only else ()) - set(SUITE):
        parser.error(f"no such experiment: {', '.join(sorted(unknown))}")
    return given


def _all_runs(place: Stage, name: str, seeds: range) -> list[Figures]:
    """Of one experiment, shown."""
    experiment = SUITE[name]
    seeds = seeds[:1] if experiment.once else seeds
    try:
        outcomes = [_one(place, name, experiment, seed) for seed in seeds]
    except CannotRun as reason:
        rows = not_run(experiment, str(reason))
    else:
        rows = figures(experiment, outcomes)
        print(f"-- {name}: seed {seeds[0]}{f' to {seeds[-1]}' if len(seeds) > 1 else ''}, ", end="")
        print(f"{sum(one.took_s for one in outcomes):.0f} s")
    for row in rows:
        print(text(row), *(f"   {words}" for words in row.wrong), sep="\n", flush=True)
    return rows


def _one(place: Stage, name: str, experiment: Experiment, seed: int) -> Outcome:
    return run(experiment, place.scene(f"{name}-{seed}"), seed)


def _write(place: Stage, name: str, rows: list[Figures], runs: int) -> None:
    servers = place.stack.servers
    where = Place(place.stack.folder, servers.database_url, servers.redis_url, {})
    keep(name, facts(where, runs), rows, list(SUITE))
    page = RECORD.with_suffix(".md")
    page.write_text(renewed(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
