"""The API killed between commit and ticket, and between ticket and answer: repeated keys give the same jobs."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

import httpx

from app.domain import ids
from tests.faults import journals
from tests.faults.crew import answers
from tests.faults.journals import StepMark
from tests.faults.load import Shape
from tests.faults.scene import Scene
from tests.faults.trial import Trial
from tests.stack import until

POINTS = ("submit.committed:30", "bell.rung:12")


def killed(trial: Trial) -> None:
    """First under a lone job, which no other job's ticket helps; then under load, at both points."""
    scene, felled = trial.scene, dict[str, float]()
    crew = scene.crew
    crew.workers(2)
    crew.end_api()
    lone = _lone_submit(scene)
    load = scene.load(Shape(waiting=0.3, seed=trial.seed))
    for point in POINTS:
        victim = crew.api_that_dies(point)
        trial.expect(victim.process.wait(30) == -9, f"{point}: ended otherwise")
        felled[point] = time.time()
    crew.api()
    trial.took([_lone_lag(trial, lone)], line=len(POINTS))
    time.sleep(0.5)
    load.finish()
    scene.rest()
    marks = scene.marks()
    for line, (point, at) in enumerate(felled.items()):
        left = _left_without_answer(scene, at)
        trial.expect(left, f"nobody was left without an answer at {point}")
        trial.took([max(0.0, _begun(marks, key) - at) for key in left], line)
    jobs = scene.jobs()
    trial.expect(all(job["status"] == "succeeded" and job["attempt"] == 1 for job in jobs), "a job did not succeed")
    trial.expect(len(jobs) == load.accepted + 1, f"{load.accepted} accepted, {len(jobs)} stored")
    trial.expect(scene.verdict().reruns == 0, "a step ran again")


def _lone_submit(scene: Scene) -> dict[str, Any]:
    """A submit to an API that dies between commit and ticket."""
    stack, key = scene.stack, f"{scene.name}-lone"
    body = {"journal": str(scene.marked), "name": key, "steps": 1}
    scene.crew.api_that_dies("submit.committed")
    until(lambda: answers(stack.url), 30)
    try:
        stack.post("trail", body, key=key, tags=[scene.name])
    except (httpx.ReadError, httpx.RemoteProtocolError):
        return body
    raise AssertionError("the API that dies at its first commit has answered")


def _lone_lag(trial: Trial, body: dict[str, Any]) -> float:
    """It was stored once, the key finds it, and it began though nobody rang for it: seconds from commit to start."""
    stack = trial.scene.stack
    again = stack.post("trail", body, key=body["name"], tags=[trial.scene.name])
    trial.expect(again.headers.get("idempotent-replayed") == "true", f"its key found nothing: {again.text}")
    ended = stack.ended(again.json()["id"])
    trial.expect(ended["status"] == "succeeded", f"the lone job is {ended['status']}")
    (job,) = stack.sql("select started_at - created_at as lag from jobs where id = $1", _id(again))
    return float(job["lag"].total_seconds())


def _id(answer: httpx.Response) -> UUID:
    return ids.read("job", answer.json()["id"])


def _left_without_answer(scene: Scene, at: float) -> list[str]:
    """The keys of jobs that were stored before the kill, and whose client saw its connection break."""
    stored = {job["key"]: job["created_at"].timestamp() for job in scene.jobs()}
    broken = {one.key for one in journals.told(scene.told) if one.asked_at < at and one.error and one.at > at - 0.5}
    return sorted(key for key in broken if stored[key] < at)


def _begun(marks: list[StepMark], key: str) -> float:
    return min(mark.at for mark in marks if mark.name == key)
