"""Valkey killed with everything in it, or away: it holds no job, so nothing is lost, and nothing has to wait for it."""

from __future__ import annotations

import time

from tests.faults import journals
from tests.faults.load import Shape
from tests.faults.scene import start_lags
from tests.faults.trial import Trial

KILLS = 3


def killed(trial: Trial) -> None:
    """Killed and started empty under load."""
    scene, felled = trial.scene, []
    scene.crew.api()
    scene.crew.workers(2)
    valkey = scene.stack.servers.valkey
    load = scene.load(Shape(waiting=0.3, seed=trial.seed))
    for _ in range(KILLS):
        time.sleep(trial.chance.uniform(0.6, 1.0))
        felled.append(time.time())
        valkey.kill()
        valkey.start()
    time.sleep(0.8)
    trial.rest(load)
    unhurt(trial)
    told, marks = journals.told(scene.told), scene.marks()
    trial.took([lag for at in felled for lag in start_lags(marks, told, at, at + 0.8)])


def away(down_s: float, trial: Trial) -> None:
    """Submits are accepted, waiting clients are answered, running jobs end, and new work starts, all without it."""
    scene = trial.scene
    scene.crew.api()
    scene.crew.workers(2)
    valkey = scene.stack.servers.valkey
    load = scene.load(Shape(waiting=0.3, seed=trial.seed))
    time.sleep(0.5)
    felled = time.time()
    valkey.kill()
    time.sleep(down_s)
    back = time.time()
    valkey.start()
    time.sleep(1.0)
    trial.rest(load)
    unhurt(trial)
    marks, told = scene.marks(), journals.told(scene.told)
    trial.took(start_lags(marks, told, felled, back))
    trial.took(start_lags(marks, told, back, back + 1.0), line=1)


def unhurt(trial: Trial) -> None:
    """Nobody had to ask twice, and no step ran again."""
    verdict = trial.scene.verdict()
    trial.expect(verdict.unanswered == 0, f"{verdict.unanswered} submits had no answer")
    trial.expect(verdict.reruns == 0, f"{verdict.reruns} steps ran again")
