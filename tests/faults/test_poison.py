"""A job that kills its process every time: a dead letter after three deaths, and its neighbours finish."""

from __future__ import annotations

import time

from tests.faults.conftest import Report
from tests.faults.load import Shape
from tests.faults.parent import up
from tests.faults.scene import Scene
from tests.stack import until


def test_a_job_that_kills_its_process_every_time(scene: Scene, report: Report) -> None:
    scene.crew.api()
    scene.crew.end_workers()
    with up(scene.stack, LANEWAY_LEASE_S="20") as parent:
        load = scene.load(Shape(step_s=0.08), parent.note["url"])
        time.sleep(0.5)
        began = time.time()
        journal = scene.stack.folder / "poison"
        poison = scene.stack.submit("wrong", {"kind": "kill", "journal": str(journal)})
        until(lambda: scene.stack.job(poison["id"])["status"] == "failed", 40)
        took_s = time.time() - began
        load.finish()
        scene.rest()
        job = scene.stack.job(poison["id"])
    scene.felled |= {mark.pid for mark in scene.marks()}
    verdict = scene.verdict()
    report("a job that kills its process, to dead letter", verdict, [took_s])
    assert (job["error"]["code"], job["disposition"]) == ("worker_lost", "dead_letter")
    assert len(journal.read_text().splitlines()) == 3
    assert verdict.clean, verdict.explained()
    assert dict(verdict.ended) == {"succeeded": load.accepted}
