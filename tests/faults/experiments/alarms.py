"""What operators are told while Redis is of no use: one alert that names the cause, and one end of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from tests.faults.experiments import valkey
from tests.faults.load import Shape
from tests.faults.scene import Scene
from tests.faults.trial import Trial
from tests.ops.alarms import standing, told
from tests.stack import until

# With time to spare: by default an alert fires after 3 s, and resolves 15 s after its cause is gone.
PATIENCE_S = 60.0
# What is done to Redis, and the word that names it.
_CAUSES = (
    (valkey.full, "OutOfMemoryError"),
    (valkey.read_only, "ReadOnlyError"),
    (valkey.stopped, "Timeout"),
    (valkey.away, "ConnectionError"),
)
_KEY = "part_away:redis"


def redis_of_no_use(trial: Trial) -> None:
    """One cause after the other, under load: T is how long until the alert says it, and until it is resolved."""
    scene = trial.scene
    scene.crew.api()
    scene.crew.workers(2)
    load, before = scene.load(Shape(rate=10, seed=trial.seed)), told(scene.stack)
    for how, cause in _CAUSES:
        with how(scene):
            trial.took([seconds_until_said(scene, _KEY, cause)])
        trial.took([seconds_until_resolved(scene, _KEY)], line=1)
    trial.rest(load)
    expect_told(trial, before, _KEY, len(_CAUSES))


def detail(scene: Scene, key: str) -> str:
    """What a standing alert says; empty where it does not stand."""
    return str(standing(scene.stack).get(key, {}).get("detail", ""))


def seconds_until_said(scene: Scene, key: str, words: str) -> float:
    """How long it takes until that alert stands and says so."""
    return _seconds_until(lambda: words in detail(scene, key))


def seconds_until_resolved(scene: Scene, key: str) -> float:
    """How long it takes until it stands no more."""
    return _seconds_until(lambda: not detail(scene, key))


def _seconds_until(true: Callable[[], object]) -> float:
    began = time.monotonic()
    until(true, PATIENCE_S)
    return time.monotonic() - began


def expect_told(trial: Trial, before: Counter[tuple[str, str]], key: str, times: int) -> None:
    """Since then so many alerts were told, each by one process, and their ends too."""
    since = told(trial.scene.stack) - before
    counts = tuple(since[event, key] for event in ("alert.fired", "alert.resolved"))
    trial.expect(counts == (times, times), f"{key} was told as fired and resolved {counts} times, not {times} each")
