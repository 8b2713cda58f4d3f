"""One scenario, everybody at once: Laneway's stack, and each do-it-yourself way before a provider of its own."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.limits.peers import PEERS
from bench.limits.real.laneway import Ran, run
from bench.limits.real.simulated import simulated
from bench.limits.real.told import Told, told
from bench.limits.scenario import Scenario
from bench.limits.traffic import jobs
from bench.peer import BENCH_PYTHON
from bench.process import ROOT

_MEMORY = Path("/dev/shm")


@dataclass(frozen=True, slots=True)
class Results:
    """What one scenario came to with one seed."""

    laneway: Ran
    first_come: Ran | None
    others: Mapping[str, Told]


def together(scenario: Scenario, seed: int, folder: Path, whose: Sequence[str] = tuple(PEERS)) -> Results:
    """All at once; only first come, first served, where tenants differ, runs after it. Main thread only."""
    with _others(scenario, seed, folder, whose) as finish:
        own = run(scenario, seed, _sub(folder, "laneway"))
        others = finish()
    plain = run(scenario, seed, _sub(folder, "plain"), fair=False) if len(scenario.traffic.tenants) > 1 else None
    return Results(own, plain, others)


@contextmanager
def _others(
    scenario: Scenario, seed: int, folder: Path, whose: Sequence[str]
) -> Iterator[Callable[[], dict[str, Told]]]:
    """The do-it-yourself ways, running; what is given waits for their ends and tells what each came to."""
    with ExitStack() as stack:
        running = [_Other(name, scenario, seed, folder, stack) for name in whose]
        yield lambda: {one.name: one.told() for one in running}


class _Other:
    """The process of one of them, and its provider."""

    def __init__(self, name: str, scenario: Scenario, seed: int, folder: Path, stack: ExitStack) -> None:
        self.name, self._scenario, self._seed = name, scenario, seed
        short = name.replace(" ", "-")
        self._provider = stack.enter_context(simulated(folder, scenario, seed, f"provider-{short}"))
        self._said = folder / f"{short}.json"
        words = [name, self._provider.url, scenario.name, str(scenario.seconds), str(seed), str(self._said)]
        # A session of its own, as a deployed program has: Linux shares the processors out by session.
        command = [str(BENCH_PYTHON), "-m", "bench.limits.real.diy", *words]
        self._process = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
        stack.callback(self._end)

    def told(self) -> Told:
        """What it came to. Raises RuntimeError when it failed."""
        if self._process.wait():
            raise RuntimeError(f"{self.name} ended with an error; it stands above")
        scenario, said = self._scenario, json.loads(self._said.read_text())
        calls = self._provider.calls(said["began"], scenario.seconds)
        found = told(scenario, jobs(scenario.traffic, self._seed, scenario.seconds), calls)
        found.tally.lost = said["lost"]
        return found

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()


def _sub(folder: Path, name: str) -> Path:
    found = folder / name
    found.mkdir(mode=0o711)
    return found


@contextmanager
def room() -> Iterator[Path]:
    """A temporary folder in memory, where there is any to be had so, that the servers' user can pass through."""
    with tempfile.TemporaryDirectory(prefix="laneway-limits-", dir=_MEMORY if _MEMORY.is_dir() else None) as name:
        Path(name).chmod(0o711)
        yield Path(name)
