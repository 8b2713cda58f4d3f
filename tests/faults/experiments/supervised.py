"""Workers that die below a real `laneway up`: released at once, started again, and a killer is found out."""

from __future__ import annotations

import os
import signal
import time

from tests.faults.load import Shape
from tests.faults.parent import Parent, up
from tests.faults.scene import Scene, taken_up
from tests.faults.trial import Trial
from tests.stack import until

KILLS = 2
# It never runs out: the parent sees the deaths.
LEASE_S = 20


def killed(trial: Trial) -> None:
    """The parent releases what its dead child held, and starts it again."""
    scene, felled = trial.scene, []
    scene.crew.end_workers()
    with up(scene.stack, LANEWAY_LEASE_S=str(LEASE_S)) as parent:
        load = scene.load(Shape(step_s=0.08, seed=trial.seed), parent.note["url"])
        for _ in range(KILLS):
            time.sleep(trial.chance.uniform(0.5, 1.0))
            felled.append(_kill_child(scene, parent, trial.chance.choice(_at_work(scene, parent))))
        trial.rest(load)
    marks = scene.marks()
    trial.took([wait for pid, at in felled for wait in taken_up(marks, pid, at)])


def poison(trial: Trial) -> None:
    """A job that kills its process every time is a dead letter after three deaths; who ran beside it finishes."""
    scene = trial.scene
    scene.crew.end_workers()
    scene.crew.api()
    journal = scene.stack.folder / f"{scene.name}-poison"
    with up(scene.stack, LANEWAY_LEASE_S=str(LEASE_S)) as parent:
        load = scene.load(Shape(step_s=0.08, seed=trial.seed), parent.note["url"])
        time.sleep(0.5)
        began = time.time()
        given = scene.stack.submit("wrong", {"kind": "kill", "journal": str(journal)})
        until(lambda: scene.stack.job(given["id"])["status"] == "failed", 40)
        trial.took([time.time() - began])
        trial.rest(load)
    job = scene.stack.job(given["id"])
    scene.felled |= {mark.pid for mark in scene.marks()}
    end = (job["error"]["code"], job["disposition"])
    trial.expect(end == ("worker_lost", "dead_letter"), f"it ended as {end}")
    deaths = len(journal.read_text().splitlines())
    trial.expect(deaths == 3, f"it died {deaths} times")
    trial.expect(scene.verdict().reruns, "it had no neighbours")


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
