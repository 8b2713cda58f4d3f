"""Cancels that race with success, with a dead worker, and with nobody: each job ends once, and as it was told."""

from __future__ import annotations

import os
import signal
import time
from itertools import islice
from typing import Any

from tests.faults import journals
from tests.faults.load import Shape, draw
from tests.faults.trial import Trial
from tests.stack import until

COUNT = 60
_OWNER = "select w.pid from jobs j join workers w on w.id = j.worker_id where j.tags ? $1"


def raced(trial: Trial) -> None:
    """Some are canceled in mid-step, most right after their last step."""
    scene = trial.scene
    # Without model calls: a job ends right after its last step.
    shape = Shape(rate=40, step_s=0.04, hooked=0.5, asking=0, seed=trial.seed)
    scene.crew.api()
    scene.crew.workers(2)
    load = scene.load(shape)
    answers = _cancel_some(trial, shape)
    load.finish()
    scene.rest()
    jobs = {job["key"]: job for job in scene.jobs()}
    trial.took([max(0.0, jobs[key]["ended_at"].timestamp() - at) for key, (at, _) in answers.items()])
    for key, (_, answer) in answers.items():
        allowed = {answer["status"], *(() if answer["terminal"] else ("succeeded", "canceled"))}
        trial.expect(jobs[key]["status"] in allowed, f"{key} was told {answer['status']}, and {jobs[key]['status']}")
    spared = {job["status"] for key, job in jobs.items() if key not in answers}
    trial.expect(spared <= {"succeeded"}, f"others ended as {spared}")
    trial.expect({jobs[key]["status"] for key in answers} == {"succeeded", "canceled"}, "no race was run")
    ended = {key: job["ended_at"].timestamp() for key, job in jobs.items() if job["status"] == "canceled"}
    late = [mark for mark in scene.marks() if mark.edge == "begin" and mark.at > ended.get(mark.name, mark.at)]
    trial.expect(not late, "a canceled job went on")


def of_the_dead(trial: Trial) -> None:
    """It is flagged, as the worker could not be told; who finds the body ends it instead of queueing it again."""
    scene, stack = trial.scene, trial.scene.stack
    scene.crew.api()
    scene.crew.workers(1)
    given = {"journal": str(scene.marked), "name": "long", "steps": 2, "step_s": 60}
    job = stack.submit("trail", given, tags=[scene.name])
    until(lambda: scene.marks())
    (owner,) = stack.sql(_OWNER, scene.name)
    scene.felled.add(owner["pid"])
    os.kill(owner["pid"], signal.SIGKILL)
    at = time.time()
    canceled = stack.client.post(f"/v1/jobs/{job['id']}/cancel")
    told = (canceled.status_code, canceled.json()["status"])
    trial.expect(told == (202, "running"), f"cancel was answered {told}")
    ended = stack.ended(job["id"], 15)
    trial.took([time.time() - at])
    trial.expect((ended["error"] or {}).get("code") == "canceled_by_client", f"it ended as {ended['status']}")


def _cancel_some(trial: Trial, shape: Shape) -> dict[str, tuple[float, dict[str, Any]]]:
    """Cancel so many jobs; by key: when, and the answer."""
    scene, answers = trial.scene, dict[str, tuple[float, dict[str, Any]]]()
    drawn = draw(shape, scene.name, scene.marked, "")
    last = {wanted.key: wanted.body["input"]["steps"] - 1 for wanted in islice(drawn, 5000)}
    news, ids_told = journals.Tail(scene.marked), dict[str, str]()
    while len(answers) < COUNT:
        for line in news.lines():
            at_the_end = line["edge"] == "end" and line["step"] == last[line["name"]]
            if line["name"] not in answers and trial.chance.random() < (0.5 if at_the_end else 0.03):
                answers[line["name"]] = _cancel(trial, line["name"], ids_told)
        time.sleep(0.002)
    return answers


def _cancel(trial: Trial, key: str, ids_told: dict[str, str]) -> tuple[float, dict[str, Any]]:
    while key not in ids_told:
        ids_told.update({told.key: told.id for told in journals.told(trial.scene.told) if told.id})
    at = time.time()
    answer = trial.scene.stack.client.post(f"/v1/jobs/{ids_told[key]}/cancel")
    assert answer.status_code in (200, 202), answer.text
    return at, answer.json()
