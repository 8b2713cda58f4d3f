"""The API killed between commit and ticket, and between ticket and answer: repeated keys give the same jobs."""

from __future__ import annotations

import time

import httpx
import pytest

from app.domain import ids
from tests.faults import journals
from tests.faults.conftest import Report
from tests.faults.crew import answers
from tests.faults.journals import StepMark
from tests.faults.load import Shape
from tests.faults.scene import Scene
from tests.stack import until

_BROKEN = (httpx.ReadError, httpx.RemoteProtocolError)
_POINTS = ("submit.committed:30", "bell.rung:12")


def test_a_lone_job_whose_api_died_before_its_ticket(scene: Scene) -> None:
    """No other job's ticket helps it: workers look by themselves."""
    crew, stack = scene.crew, scene.stack
    crew.workers(2)
    crew.api_that_dies("submit.committed")
    until(lambda: answers(stack.url), 30)
    body = {"journal": str(scene.marked), "name": "lone", "steps": 1}
    with pytest.raises(_BROKEN):
        stack.post("trail", body, key=scene.name, tags=[scene.name])
    crew.api()
    again = stack.post("trail", body, key=scene.name, tags=[scene.name])
    assert again.headers["idempotent-replayed"] == "true", again.text
    assert stack.ended(again.json()["id"])["status"] == "succeeded"
    (job,) = scene.jobs()
    assert ids.show("job", job["id"]) == again.json()["id"]
    assert (job["started_at"] - job["created_at"]).total_seconds() < 4


def test_api_killed_around_the_ticket(scene: Scene, report: Report) -> None:
    crew, felled = scene.crew, {}
    crew.workers(2)
    crew.end_api()
    load = scene.load(Shape(waiting=0.3))
    for point in _POINTS:
        victim = crew.api_that_dies(point)
        assert victim.process.wait(30) == -9
        felled[point] = time.time()
    crew.api()
    time.sleep(0.5)
    load.finish()
    scene.rest()
    verdict, marks = scene.verdict(), scene.marks()
    for point, at in felled.items():
        left = _left_without_answer(scene, at)
        report(f"kill -9 the API at {point}", verdict, [max(0.0, _begun(marks, key) - at) for key in left])
        assert left, f"nobody was left without an answer at {point}"
    assert verdict.clean, verdict.explained()
    assert verdict.reruns == 0
    assert dict(verdict.ended) == {"succeeded": load.accepted}


def _left_without_answer(scene: Scene, at: float) -> list[str]:
    """The keys of jobs that were stored before the kill, and whose client saw its connection break."""
    stored = {job["key"]: job["created_at"].timestamp() for job in scene.jobs()}
    broken = {one.key for one in journals.told(scene.told) if one.asked_at < at and one.error and one.at > at - 0.5}
    return sorted(key for key in broken if stored[key] < at)


def _begun(marks: list[StepMark], key: str) -> float:
    return min(mark.at for mark in marks if mark.name == key)
