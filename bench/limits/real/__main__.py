"""The rate controller on the real service: `python -m bench.limits.real [--scenarios a,b] [--seeds 1] [--write]`.

Each scenario with each seed is a process of its own; several may go on at once, since calls take seconds. Only
with the first seed the do-it-yourself ways run beside them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.facts import facts
from bench.limits.real import page, record
from bench.limits.real.plan import PLANS
from bench.limits.real.watch import busy_s
from bench.peer import BENCH_PYTHON
from bench.place import ground
from bench.process import ROOT
from docs.generate import renewed

_PAGE = ROOT / "docs" / "limits.md"
_POLL_S, _STAGGER_S = 0.5, 5.0


@dataclass(frozen=True, slots=True)
class _Visit:
    """One scenario with one seed."""

    scenario: str
    seed: int
    alone: bool
    seconds: float | None

    def start(self, out: Path) -> subprocess.Popen[bytes]:
        words = [self.scenario, "--seed", str(self.seed), "--out", str(out)]
        words += ["--alone"] if self.alone else []
        words += ["--seconds", str(self.seconds)] if self.seconds else []
        command = [sys.executable, "-m", "bench.limits.real.one", *words]
        return subprocess.Popen(command, cwd=ROOT, start_new_session=True)


def main() -> int:
    """0 when each visit holds its bars. What one could not measure is said and left out."""
    given = _options()
    visits = [
        _Visit(name, seed, given.alone or seed > given.seed_base, given.seconds)
        for seed in range(given.seed_base, given.seed_base + given.seeds)
        for name in given.scenarios
    ]
    if given.admit:
        _keep(given.write, admit=_admit())
    said, (busy, every) = _facts(), busy_s()
    failed = 0
    for name, found in _all(visits, given.at_once):
        now_busy, now_every = busy_s()
        found |= {"facts": said, "busy": round((now_busy - busy) / (now_every - every), 3)}
        _keep(given.write, runs={name: [found]})
        failed += not page.holds(name, [found])
        sys.stdout.write("\n".join([*page.lines({name: [found]}), ""]))
        sys.stdout.flush()
    if given.write:
        subprocess.run([str(BENCH_PYTHON), "-m", "bench.limits.real.draw"], cwd=ROOT, check=True)
        _PAGE.write_text(renewed(_PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenarios", type=lambda text: text.split(","), default=list(PLANS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--seed-base", type=int, default=1)
    parser.add_argument(
        "--at-once", type=int, default=1, help="how many scenarios at the same time; one takes a core, half of it alone"
    )
    parser.add_argument("--seconds", type=float, help="end each sooner, for a quick look")
    parser.add_argument("--alone", action="store_true", help="without the do-it-yourself ways")
    parser.add_argument("--no-admit", dest="admit", action="store_false", help="without the time that a permit takes")
    parser.add_argument("--write", action="store_true", help="renew docs/limits.*")
    given = parser.parse_args()
    if unknown := set(given.scenarios) - set(PLANS):
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}; there are {', '.join(PLANS)}")
    return given


def _all(visits: list[_Visit], at_once: int) -> Iterator[tuple[str, Any]]:
    """What each came to, as they end."""
    with tempfile.TemporaryDirectory(prefix="laneway-limits-out-") as folder:
        left = list(enumerate(visits))
        running: list[tuple[_Visit, Path, subprocess.Popen[bytes]]] = []
        try:
            while left or running:
                if left and len(running) < at_once:
                    number, visit = left.pop(0)
                    out = Path(folder) / f"{number}.json"
                    running.append((visit, out, visit.start(out)))
                    time.sleep(_STAGGER_S)
                for one in [one for one in running if one[2].poll() is not None]:
                    running.remove(one)
                    yield from _result(*one)
                time.sleep(_POLL_S)
        finally:
            for _, _, process in running:
                process.terminate()
            for _, _, process in running:
                process.wait()


def _result(visit: _Visit, out: Path, process: subprocess.Popen[bytes]) -> Iterator[tuple[str, Any]]:
    if process.returncode == 0:
        yield visit.scenario, json.loads(out.read_text(encoding="utf-8"))
    else:
        sys.stderr.write(f"{visit.scenario}, seed {visit.seed}: failed; the reason stands above\n")


def _admit() -> Any:
    """In a process of its own, before everything else."""
    with tempfile.TemporaryDirectory(prefix="laneway-limits-out-") as folder:
        out = Path(folder) / "admit.json"
        command = [sys.executable, "-m", "bench.limits.real.admit", "--out", str(out)]
        subprocess.run(command, cwd=ROOT, check=True)
        return json.loads(out.read_text(encoding="utf-8"))


def _facts() -> str:
    """Of the machine and the versions."""
    with ground() as servers:
        return facts(servers.place(), 1).replace(", 1 round;", ";")


def _keep(write: bool, *, runs: Mapping[str, list[Any]] | None = None, admit: Any = None) -> None:
    """At once, so that what was measured is not lost. What was not, other seeds too, stays as it was."""
    if not write:
        sys.stdout.write(f"{json.dumps(admit)}\n" if admit else "")
        return
    before = record.load()
    kept = before.get("runs", {})
    joined = {name: _joined(kept.get(name, []), (runs or {}).get(name, [])) for name in PLANS}
    told = {"admit": admit} if admit else {}
    record.save({**before, **told, "runs": {name: found for name, found in joined.items() if found}})


def _joined(before: list[Any], now: list[Any]) -> list[Any]:
    """By seed."""
    found = {one["seed"]: one for one in [*before, *now]}
    return [found[seed] for seed in sorted(found)]


if __name__ == "__main__":
    sys.exit(main())
