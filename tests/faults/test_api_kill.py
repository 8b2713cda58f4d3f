"""The API killed between commit and ticket, and between ticket and answer: repeated keys give the same jobs."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

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


def test_api_killed_around_the_ticket(scene: Scene, report: Report) -> None:
    """First under a lone job, which no other job's ticket helps; then under load, at both points."""
    crew, felled = scene.crew, dict[str, float]()
    crew.workers(2)
    crew.end_api()
    told = _lone_submit(scene)
    load = scene.load(Shape(waiting=0.3))
    for point in _POINTS:
        victim = crew.api_that_dies(point)
        assert victim.process.wait(30) == -9
        felled[point] = time.time()
    crew.api()
    _check_lone(scene, told)
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


def _lone_submit(scene: Scene) -> dict[str, Any]:
    """A submit to an API that dies between commit and ticket."""
    stack, body = scene.stack, {"journal": str(scene.marked), "name": "lone", "steps": 1}
    scene.crew.api_that_dies("submit.committed")
    until(lambda: answers(stack.url), 30)
    with pytest.raises(_BROKEN):
        stack.post("trail", body, key="lone")
    return body


def _check_lone(scene: Scene, body: dict[str, Any]) -> None:
    """It was stored once, and began though nobody rang for it; the key finds it."""
    again = scene.stack.post("trail", body, key="lone")
    assert again.headers["idempotent-replayed"] == "true", again.text
    assert scene.stack.ended(again.json()["id"])["status"] == "succeeded"
    (job,) = scene.stack.sql("select started_at - created_at as lag from jobs where id = $1", _id(again))
    assert job["lag"].total_seconds() < 4


def _id(answer: httpx.Response) -> UUID:
    return ids.read("job", answer.json()["id"])


def _left_without_answer(scene: Scene, at: float) -> list[str]:
    """The keys of jobs that were stored before the kill, and whose client saw its connection break."""
    stored = {job["key"]: job["created_at"].timestamp() for job in scene.jobs()}
    broken = {one.key for one in journals.told(scene.told) if one.asked_at < at and one.error and one.at > at - 0.5}
    return sorted(key for key in broken if stored[key] < at)


def _begun(marks: list[StepMark], key: str) -> float:
    return min(mark.at for mark in marks if mark.name == key)
