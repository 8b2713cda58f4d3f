"""Cancels that race with success, with a dead worker, and with nobody: each job ends once, and as it was told."""

from __future__ import annotations

import os
import random
import signal
import time
from itertools import islice
from typing import Any

from tests.faults import journals
from tests.faults.conftest import Report
from tests.faults.load import Shape, draw
from tests.faults.scene import Scene
from tests.stack import until

# Without model calls: a job ends right after its last step.
_SHAPE = Shape(rate=40, step_s=0.04, hooked=0.5, asking=0)
_OWNER = "select w.pid from jobs j join workers w on w.id = j.worker_id where j.tags ? $1"


def test_cancels_race_with_success(scene: Scene, report: Report) -> None:
    scene.crew.api()
    scene.crew.workers(2)
    load = scene.load(_SHAPE)
    answers = _cancel_some(scene, 60)
    load.finish()
    scene.rest()
    verdict, jobs = scene.verdict(), {job["key"]: job for job in scene.jobs()}
    waits = [jobs[key]["ended_at"].timestamp() - at for key, (at, _) in answers.items()]
    report("60 cancels that race with success", verdict, [max(0.0, wait) for wait in waits], " from cancel to end")
    assert verdict.clean, verdict.explained()
    assert verdict.reruns == 0
    for key, (_, answer) in answers.items():
        assert jobs[key]["status"] in (answer["status"], *(("succeeded", "canceled") if not answer["terminal"] else ()))
    spared = {key: job for key, job in jobs.items() if key not in answers}
    assert {job["status"] for job in spared.values()} == {"succeeded"}
    assert {jobs[key]["status"] for key in answers} == {"succeeded", "canceled"}, "no race was run"
    ended = {key: job["ended_at"].timestamp() for key, job in jobs.items() if job["status"] == "canceled"}
    late = [mark for mark in scene.marks() if mark.edge == "begin" and mark.at > ended.get(mark.name, mark.at)]
    assert not late, "a canceled job went on"


def test_cancel_of_a_job_whose_worker_died(scene: Scene, report: Report) -> None:
    """It is flagged, as the worker could not be told; who finds the body ends it instead of queueing it again."""
    stack = scene.stack
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
    assert (canceled.status_code, canceled.json()["status"]) == (202, "running")
    ended = stack.ended(job["id"], 10)
    verdict = scene.verdict()
    report("cancel of a job whose worker died", verdict, [time.time() - at])
    assert (ended["status"], ended["error"]["code"]) == ("canceled", "canceled_by_client")
    assert verdict.clean and verdict.reruns == 0, verdict.explained()


def _cancel_some(scene: Scene, count: int) -> dict[str, tuple[float, dict[str, Any]]]:
    """Cancel so many jobs, some in mid-step, most right after their last step; by key: when, and the answer."""
    chance, answers = random.Random(11), dict[str, tuple[float, dict[str, Any]]]()
    drawn = draw(_SHAPE, scene.name, scene.marked, "")
    last = {wanted.key: wanted.body["input"]["steps"] - 1 for wanted in islice(drawn, 5000)}
    news, ids_told = journals.Tail(scene.marked), dict[str, str]()
    while len(answers) < count:
        for line in news.lines():
            at_the_end = line["edge"] == "end" and line["step"] == last[line["name"]]
            if line["name"] not in answers and chance.random() < (0.5 if at_the_end else 0.03):
                answers[line["name"]] = _cancel(scene, line["name"], ids_told)
        time.sleep(0.002)
    return answers


def _cancel(scene: Scene, key: str, ids_told: dict[str, str]) -> tuple[float, dict[str, Any]]:
    while key not in ids_told:
        ids_told.update({told.key: told.id for told in journals.told(scene.told) if told.id})
    at = time.time()
    answer = scene.stack.client.post(f"/v1/jobs/{ids_told[key]}/cancel")
    assert answer.status_code in (200, 202), answer.text
    return at, answer.json()
