"""PostgreSQL killed and started again under load: what was acknowledged is stored, and nobody else has to restart."""

from __future__ import annotations

import time

from tests.faults import journals
from tests.faults.crew import alive
from tests.faults.load import Shape
from tests.faults.scene import start_lags
from tests.faults.trial import Trial


def killed(times: int, pause_s: tuple[float, float], trial: Trial) -> None:
    """So many times, with such pauses between."""
    scene, back = trial.scene, []
    crew = [scene.crew.api(), *scene.crew.workers(2)]
    postgres = scene.stack.servers.postgres
    load = scene.load(Shape(waiting=0.2, seed=trial.seed))
    for _ in range(times):
        time.sleep(trial.chance.uniform(*pause_s))
        postgres.kill()
        postgres.start()
        back.append(time.time())
    time.sleep(0.7)
    trial.rest(load, 60)
    told, marks = journals.told(scene.told), scene.marks()
    trial.took([min(mark.at - at for mark in marks if mark.at > at and mark.edge == "end") for at in back])
    trial.took([lag for at in back for lag in start_lags(marks, told, at, at + 0.5)], line=1)
    trial.expect(all(alive(process) for process in crew), "somebody had to be restarted")
    refused = {one.error for one in told if one.status and one.status >= 500}
    trial.expect(refused <= {"reduced_capacity"}, f"refused with {refused}")
