"""kill -9 a worker in mid-step, again and again."""

from __future__ import annotations

import random
import time

from tests.faults.conftest import Report
from tests.faults.load import Shape
from tests.faults.scene import Scene, taken_up

_KILLS = 2


def test_killed_workers_jobs_move_on_when_their_lease_runs_out(scene: Scene, report: Report) -> None:
    """Nobody tells of the deaths: the survivors see the lease run out, as after the loss of a host."""
    chance = random.Random(7)
    crew, felled = scene.crew, []
    crew.api()
    workers = list(crew.workers(2 + _KILLS))
    load = scene.load(Shape(step_s=0.08))
    for _ in range(_KILLS):
        time.sleep(chance.uniform(0.3, 0.8))
        victim = workers.pop(chance.randrange(len(workers)))
        felled.append((victim.pid, scene.kill(victim)))
    time.sleep(2.0)
    load.finish()
    scene.rest()
    verdict, marks = scene.verdict(), scene.marks()
    waits = [wait for pid, at in felled for wait in taken_up(marks, pid, at)]
    report(f"kill -9 a worker x{_KILLS}, lost host, lease 2 s", verdict, waits)
    assert waits, "no worker was killed in mid-step"
    assert verdict.clean, verdict.explained()
    assert dict(verdict.ended) == {"succeeded": load.accepted}
