"""Rolling restarts under load: SIGTERM gives running jobs a moment, then gives them back; nobody is charged for it."""

from __future__ import annotations

import os
import signal
import time

from tests.faults import journals
from tests.faults.crew import serving
from tests.faults.load import Shape
from tests.faults.parent import Parent, up
from tests.faults.scene import Scene
from tests.faults.trial import Trial
from tests.stack import until

DRAIN_S = 1.0
RESTARTS = 10
_CHILDREN = ("worker-1", "api-1", "worker-2", "api-2")
_CHARGED = """
select count(*) as n from attempts a join jobs j on j.id = a.job_id
where j.tags ? $1 and a.status in ('failed', 'lost')
"""


def each_worker_once(trial: Trial) -> None:
    """Jobs run for about two seconds, a drain lasts one: steps are cut off, and run once more elsewhere.

    One job sits in a thread all the time, which nobody can interrupt; no worker's end waits for it.
    """
    scene, stack, took = trial.scene, trial.scene.stack, list[float]()
    scene.crew.api()
    old = scene.crew.workers(2)
    load = scene.load(Shape(rate=30, step_s=0.5, seed=trial.seed))
    blocked = stack.submit("blocks", 60)
    for worker in [scene.crew.shared_worker() for _ in old]:
        serving(worker)
    for worker in old:
        scene.felled.add(worker.pid)
        began = time.time()
        assert worker.stop(DRAIN_S + 10) == 0, worker.log.read_text()[-2000:]
        took.append(time.time() - began)
    stack.client.post(f"/v1/jobs/{blocked['id']}/cancel").raise_for_status()
    trial.rest(load)
    trial.took(took)
    trial.expect(scene.verdict().reruns, "no step was cut off")
    uncharged(trial)
    trial.expect(stack.ended(blocked["id"])["attempt"] == 1, "the job in the thread was charged")
    trial.expect(max(took) < DRAIN_S + 5, f"a drain of {DRAIN_S:g} s took {max(took):.1f} s")


def uncharged(trial: Trial) -> None:
    """No attempt and no death was counted against any job."""
    counted = {(job["attempt"], job["deaths"]) for job in trial.scene.jobs()}
    trial.expect(counted == {(1, None)}, f"attempts and deaths: {counted}")
    charged = trial.scene.stack.sql(_CHARGED, trial.scene.name)
    trial.expect(charged == [{"n": 0}], f"attempts that failed or were lost: {charged}")


def rolling(drain_s: float, trial: Trial) -> None:
    """Ten, below `laneway up`: each API and worker in turn, while jobs run for longer than the drain.

    As many jobs are sent as half of the slots can do: what is left over at the end is waited for.
    """
    step_s = max(0.5, drain_s / 2)
    scene, took = trial.scene, list[float]()
    scene.crew.end_api()
    scene.crew.end_workers()
    with up(scene.stack, "--api", "2", "--workers", "2", LANEWAY_DRAIN_S=f"{drain_s:g}") as parent:
        load = scene.load(
            Shape(rate=min(20.0, 25 / step_s), step_s=step_s, waiting=0.2, seed=trial.seed), parent.note["url"]
        )
        time.sleep(1.5)
        for n in range(RESTARTS):
            took.append(_restart(scene, parent, _CHILDREN[n % len(_CHILDREN)]))
        trial.rest(load, 60 + 3 * drain_s)
    trial.took(took)
    told = journals.told(scene.told)
    refused = [one for one in told if one.id is None]
    trial.expect(not refused, f"{len(refused)} of {len(told)} requests had no good answer: {refused[:2]}")
    trial.expect(scene.verdict().reruns, "no step was cut off")
    uncharged(trial)


def _restart(scene: Scene, parent: Parent, child: str) -> float:
    """SIGTERM; seconds to its end. Returns once its successor serves."""
    pid, starts, began = parent.pid(child), parent.starts(child), time.monotonic()
    scene.felled.add(pid)
    os.kill(pid, signal.SIGTERM)
    until(lambda: parent.pid(child) != pid, 60)
    took_s = time.monotonic() - began
    if child.startswith("worker"):
        until(lambda: parent.starts(child) > starts, 30)
    else:
        time.sleep(1.0)
    return took_s
