"""Workers killed exactly between a side effect and its record, and between a commit and what follows from it."""

from __future__ import annotations

import time

from tests.faults.conftest import Report
from tests.faults.crew import alive, serving
from tests.faults.load import Shape
from tests.faults.scene import Scene, taken_up
from tests.stack import until

_POINTS = ("job.claimed:10", "step.done:30", "step.recorded:30", "job.settled:8", "webhook.sent:6")


def test_workers_killed_at_each_point(scene: Scene, report: Report) -> None:
    """Each dies once, beside two that live: at most the step in flight runs once more."""
    crew = scene.crew
    crew.api()
    victims = {point: crew.worker(LANEWAY_CRASH_POINT=point) for point in _POINTS}
    for victim in victims.values():
        serving(victim)
    crew.workers(2)
    load = scene.load(Shape(rate=60, hooked=0.5))
    felled: dict[str, float] = {}

    def all_dead() -> bool:
        felled.update({point: time.time() for point, one in victims.items() if not alive(one) and point not in felled})
        return len(felled) == len(victims)

    until(all_dead, 30)
    scene.felled |= {victim.pid for victim in victims.values()}
    load.finish()
    scene.rest()
    verdict, marks = scene.verdict(), scene.marks()
    for point, at in felled.items():
        assert victims[point].process.returncode == -9
        report(f"kill -9 a worker at {point}", verdict, taken_up(marks, victims[point].pid, at))
    assert verdict.clean, verdict.explained()
    assert dict(verdict.ended) == {"succeeded": load.accepted}
