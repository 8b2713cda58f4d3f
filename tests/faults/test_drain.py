"""A rolling restart under load: SIGTERM gives running jobs a moment, then gives them back; nobody is charged for it."""

from __future__ import annotations

import time

from tests.faults.conftest import Report
from tests.faults.crew import serving
from tests.faults.load import Shape
from tests.faults.scene import Scene

_DRAIN_S = 1.0
_CHARGED = """
select count(*) as n from attempts a join jobs j on j.id = a.job_id
where j.tags ? $1 and a.status in ('failed', 'lost')
"""


def test_rolling_restart_charges_nothing(scene: Scene, report: Report) -> None:
    """Jobs run for about two seconds, a drain lasts one: steps are cut off, and run once more elsewhere.

    One job sits in a thread all the time, which nobody can interrupt; no worker's end waits for it.
    """
    crew, stack, took = scene.crew, scene.stack, list[float]()
    crew.api()
    old = crew.workers(2)
    load = scene.load(Shape(rate=30, step_s=0.5))
    blocked = stack.submit("blocks", 60)
    for worker in [crew.shared_worker() for _ in old]:
        serving(worker)
    for worker in old:
        scene.felled.add(worker.pid)
        began = time.time()
        assert worker.stop(_DRAIN_S + 10) == 0, worker.log.read_text()[-2000:]
        took.append(time.time() - began)
    stack.client.post(f"/v1/jobs/{blocked['id']}/cancel").raise_for_status()
    load.finish()
    scene.rest()
    verdict = scene.verdict()
    report(f"SIGTERM each worker once, drain {_DRAIN_S:g} s", verdict, took, " to its end")
    assert verdict.clean, verdict.explained()
    assert dict(verdict.ended) == {"succeeded": load.accepted}
    assert verdict.reruns, "no step was cut off"
    assert {(job["attempt"], job["deaths"]) for job in scene.jobs()} == {(1, None)}
    assert stack.sql(_CHARGED, scene.name) == [{"n": 0}]
    assert stack.ended(blocked["id"])["attempt"] == 1
    assert max(took) < _DRAIN_S + 5
