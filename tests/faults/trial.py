"""One run of an experiment: what it found beside the verdict, and what one run of it came to."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.faults.load import Load
from tests.faults.scene import Scene
from tests.faults.verdict import Verdict


class CannotRun(Exception):
    """This machine cannot run the experiment; the message says why."""


# So many times the p99 of the line of that number.
Over = tuple[float, int]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the table: what was done, what T counts, its bound in seconds, the best peer's figure.

    `p99`: that share of T must be in the bound, not all of it. `over`: the bound, by another line.
    """

    title: str
    counts: str
    bar_s: float | None = None
    peer: str = "-"
    p99: bool = False
    over: Over | None = None


@dataclass(slots=True)
class Trial:
    """Handed to an experiment, which acts on the scene and says here what it saw; `seed` makes it run again alike."""

    scene: Scene
    seed: int
    chance: random.Random = field(init=False)
    times: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    wrong: list[str] = field(default_factory=list)
    verdict: Verdict | None = None

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)

    def took(self, seconds: Sequence[float], line: int = 0) -> None:
        """Times of that line of the experiment."""
        self.times[line] += seconds

    def expect(self, holds: object, words: str) -> None:
        """What must hold beside the verdict; `words` say what is wrong when it does not."""
        if not holds:
            self.wrong.append(words)

    def judge(self) -> Verdict:
        """The verdict, now: of a scene that is gone when the experiment has ended."""
        if self.verdict is None:
            self.verdict = self.scene.verdict()
            self.wrong += self.scene.verified()
        return self.verdict

    def rest(self, load: Load, timeout_s: float = 30) -> None:
        """Let the clients finish and everything come to rest; every job must have succeeded, at its first attempt."""
        load.finish()
        self.scene.rest(timeout_s)
        jobs = self.scene.jobs()
        ended = sum(job["status"] == "succeeded" for job in jobs)
        self.expect(ended == load.accepted == len(jobs), f"{load.accepted} accepted, {ended} of {len(jobs)} succeeded")
        charged = [job["key"] for job in jobs if job["attempt"] != 1]
        self.expect(not charged, f"charged with an attempt: {charged[:5]}")


@dataclass(frozen=True, slots=True)
class Experiment:
    """`act` does it; its n-th line shows the times of line n. `proxied`: the crew reaches every part by a proxy.

    `once`: it takes minutes, and runs with the first seed only.
    """

    act: Callable[[Trial], None]
    lines: tuple[Line, ...]
    proxied: bool = False
    once: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run came to. `wrong` holds every sentence on what was lost, doubled or else not as it must be."""

    seed: int
    jobs: int
    lost: int
    webhooks: int
    doubled: int
    times: dict[int, list[float]]
    wrong: list[str]
    took_s: float


def run(experiment: Experiment, scene: Scene, seed: int) -> Outcome:
    """Run it once and judge it. Raises CannotRun."""
    began, verdict = time.monotonic(), None
    scene.crew.use(scene.doors.environment if experiment.proxied else {})
    trial = Trial(scene, seed)
    try:
        experiment.act(trial)
        verdict = trial.judge()
    except CannotRun:
        raise
    except Exception as error:
        trial.wrong.append(f"broken off: {type(error).__name__}: {error}"[:500])
    finally:
        scene.repair()
    return Outcome(
        seed=seed,
        jobs=verdict.jobs if verdict else 0,
        lost=len(verdict.lost) if verdict else 0,
        webhooks=len(verdict.webhooks) if verdict else 0,
        doubled=len(verdict.doubled) if verdict else 0,
        times={line: sorted(seconds) for line, seconds in trial.times.items()},
        wrong=[*(verdict.found()[:20] if verdict else []), *trial.wrong],
        took_s=time.monotonic() - began,
    )
