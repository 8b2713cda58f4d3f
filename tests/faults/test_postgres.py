"""PostgreSQL killed and started again under load: what was acknowledged is stored, and nobody else has to restart."""

from __future__ import annotations

import random
import time

from tests.faults import journals
from tests.faults.conftest import Report
from tests.faults.crew import alive
from tests.faults.load import Shape
from tests.faults.scene import Scene, start_lags

_KILLS = 3


def test_postgres_killed_under_load(scene: Scene, report: Report) -> None:
    chance = random.Random(9)
    api, workers = scene.crew.api(), scene.crew.workers(2)
    postgres, back = scene.stack.servers.postgres, []
    load = scene.load(Shape(waiting=0.2))
    for _ in range(_KILLS):
        time.sleep(chance.uniform(0.7, 1.2))
        postgres.kill()
        postgres.start()
        back.append(time.time())
    time.sleep(0.7)
    load.finish()
    scene.rest(60)
    verdict, told, marks = scene.verdict(), journals.told(scene.told), scene.marks()
    waits = [min(mark.at - at for mark in marks if mark.at > at and mark.edge == "end") for at in back]
    lags = [lag for at in back for lag in start_lags(marks, told, at, at + 0.5)]
    report(f"kill -9 PostgreSQL x{_KILLS}, to the first end", verdict, waits)
    report(f"kill -9 PostgreSQL x{_KILLS}, submit to start", verdict, lags)
    assert verdict.clean, verdict.explained()
    assert dict(verdict.ended) == {"succeeded": load.accepted}
    assert all(alive(process) for process in (api, *workers)), "somebody had to be restarted"
    assert {one.error for one in told if one.status and one.status >= 500} <= {"reduced_capacity"}
