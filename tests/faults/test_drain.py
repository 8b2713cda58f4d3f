"""A rolling restart under load: SIGTERM gives running jobs a moment, then gives them back; nobody is charged for it."""

from __future__ import annotations

import time

from tests.faults.conftest import Report
from tests.faults.crew import serving
from tests.faults.load import Shape
from tests.faults.scene import Scene
from tests.stack import Process, until

_DRAIN_S = 1.0
_CHARGED = """
select count(*) as n from attempts a join jobs j on j.id = a.job_id
where j.tags ? $1 and a.status in ('failed', 'lost')
"""


def test_rolling_restart_charges_nothing(scene: Scene, report: Report) -> None:
    """Jobs run for about two seconds, a drain lasts one: steps are cut off, and run once more elsewhere."""
    crew = scene.crew
    crew.api()
    crew.end_workers()
    old = [_worker(scene), _worker(scene)]
    for worker in old:
        serving(worker)
    load = scene.load(Shape(rate=30, step_s=0.5))
    took = []
    for worker in old:
        serving(_worker(scene))
        scene.felled.add(worker.pid)
        began = time.time()
        assert worker.stop(_DRAIN_S + 10) == 0, worker.log.read_text()[-2000:]
        took.append(time.time() - began)
    load.finish()
    scene.rest()
    verdict = scene.verdict()
    report(f"SIGTERM each worker once, drain {_DRAIN_S:g} s", verdict, took, " to its end")
    assert verdict.clean, verdict.explained()
    assert dict(verdict.ended) == {"succeeded": load.accepted}
    assert verdict.reruns, "no step was cut off"
    assert {(job["attempt"], job["deaths"]) for job in scene.jobs()} == {(1, None)}
    assert scene.stack.sql(_CHARGED, scene.name) == [{"n": 0}]
    assert max(took) < _DRAIN_S + 5


def test_a_step_in_a_thread_does_not_hold_up_the_end(scene: Scene) -> None:
    crew, stack = scene.crew, scene.stack
    crew.api()
    crew.end_workers()
    worker = _worker(scene)
    serving(worker)
    job = stack.submit("blocks", 12)
    until(lambda: stack.job(job["id"])["status"] == "running")
    began = time.monotonic()
    assert worker.stop(30) == 0
    assert time.monotonic() - began < _DRAIN_S + 5
    assert stack.job(job["id"])["status"] == "queued"
    stack.client.post(f"/v1/jobs/{job['id']}/cancel").raise_for_status()


def _worker(scene: Scene) -> Process:
    return scene.crew.worker(LANEWAY_DRAIN_S=str(_DRAIN_S))
