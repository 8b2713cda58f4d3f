"""Valkey killed with everything in it: it holds no job, so nothing is lost, and nothing has to wait for it."""

from __future__ import annotations

import time

from tests.faults import journals
from tests.faults.conftest import Report
from tests.faults.load import Shape
from tests.faults.scene import Scene, start_lags

_DOWN_S = 4.0


def test_valkey_killed_and_started_empty_under_load(scene: Scene, report: Report) -> None:
    scene.crew.api()
    scene.crew.workers(2)
    valkey, felled = scene.stack.servers.valkey, []
    load = scene.load(Shape(waiting=0.3))
    for _ in range(3):
        time.sleep(0.8)
        felled.append(time.time())
        valkey.kill()
        valkey.start()
    time.sleep(0.8)
    load.finish()
    scene.rest()
    verdict, told = scene.verdict(), journals.told(scene.told)
    lags = [lag for at in felled for lag in start_lags(scene.marks(), told, at, at + 0.8)]
    report("kill -9 Valkey x3, started empty", verdict, lags, " from submit")
    assert verdict.clean, verdict.explained()
    assert verdict.reruns == 0 and verdict.unanswered == 0
    assert dict(verdict.ended) == {"succeeded": load.accepted}


def test_valkey_away_for_seconds(scene: Scene, report: Report) -> None:
    """Submits are accepted, waiting clients are answered, running jobs end, and new work starts, all without it."""
    scene.crew.api()
    scene.crew.workers(2)
    valkey = scene.stack.servers.valkey
    load = scene.load(Shape(waiting=0.3))
    time.sleep(0.5)
    felled = time.time()
    valkey.kill()
    time.sleep(_DOWN_S)
    back = time.time()
    marks, told = scene.marks(), journals.told(scene.told)
    valkey.start()
    time.sleep(0.5)
    load.finish()
    scene.rest()
    verdict = scene.verdict()
    report(f"Valkey away for {_DOWN_S:g} s", verdict, start_lags(marks, told, felled, back - 2), " from submit")
    assert verdict.clean, verdict.explained()
    assert verdict.reruns == 0 and verdict.unanswered == 0
    assert dict(verdict.ended) == {"succeeded": load.accepted}
    while_away = start_lags(marks, told, felled, back - 2)
    assert while_away and max(while_away) < 2, "what was accepted without Valkey did not start without it"
