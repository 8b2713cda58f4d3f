"""Workers that die below a real `laneway up`: released at once, started again, and a killer is found out."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator

import pytest

from tests.faults.conftest import Report
from tests.faults.crew import Crew
from tests.faults.load import Shape
from tests.faults.parent import Parent, up
from tests.faults.scene import Scene, taken_up
from tests.stack import Stack, until

_KILLS = 2


@pytest.fixture(scope="module")
def parent(servers: Stack, crew: Crew) -> Iterator[Parent]:
    """One API and two workers. Their lease of 20 s never runs out: the parent sees them die."""
    crew.api()
    crew.end_workers()
    with up(servers, LANEWAY_LEASE_S="20") as running:
        yield running


def test_killed_children_are_released_by_their_parent(scene: Scene, parent: Parent, report: Report) -> None:
    chance, felled = random.Random(8), []
    load = scene.load(Shape(step_s=0.08), parent.note["url"])
    for _ in range(_KILLS):
        time.sleep(chance.uniform(0.5, 1.0))
        felled.append(_kill_child(scene, parent, chance.choice(_at_work(scene, parent))))
    load.finish()
    scene.rest()
    verdict, marks = scene.verdict(), scene.marks()
    waits = [wait for pid, at in felled for wait in taken_up(marks, pid, at)]
    report(f"kill -9 a worker x{_KILLS}, supervised, lease 20 s", verdict, waits)
    assert waits, "no worker was killed in mid-step"
    assert verdict.clean, verdict.explained()
    assert dict(verdict.ended) == {"succeeded": load.accepted}


def test_a_job_that_kills_its_process_every_time(scene: Scene, parent: Parent, report: Report) -> None:
    """A dead letter after three deaths; who ran beside it each time finishes."""
    load = scene.load(Shape(step_s=0.08), parent.note["url"])
    time.sleep(0.5)
    began, journal = time.time(), scene.stack.folder / "poison"
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
    assert verdict.reruns, "it had no neighbours"
    assert verdict.clean, verdict.explained()
    assert dict(verdict.ended) == {"succeeded": load.accepted}


def _at_work(scene: Scene, parent: Parent) -> list[str]:
    """The workers that have ended a step, once there is one."""
    found: list[str] = []

    def look() -> bool:
        pids = {mark.pid for mark in scene.marks()}
        found[:] = [child for child in ("worker-1", "worker-2") if parent.pid(child) in pids]
        return bool(found)

    until(look, 30)
    return found


def _kill_child(scene: Scene, parent: Parent, child: str) -> tuple[int, float]:
    """Kill it and wait until the parent has it serving again; its process id and when."""
    starts, pid, at = parent.starts(child), parent.pid(child), time.time()
    scene.felled.add(pid)
    os.kill(pid, signal.SIGKILL)
    until(lambda: parent.starts(child) > starts, 30)
    return pid, at
