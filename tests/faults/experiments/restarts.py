"""Rolling restarts under load: SIGTERM gives running jobs a moment, then gives them back; nobody is charged for it."""

from __future__ import annotations

import time

from tests.faults.crew import serving
from tests.faults.load import Shape
from tests.faults.trial import Trial

DRAIN_S = 1.0
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
