"""The judge itself: each kind of damage is seen, and what a kill may do is not called damage."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from app.domain import ids
from tests.faults.journals import Asked, Hook, StepMark, Told
from tests.faults.verdict import Seen, Stored, judge

JOB, EVENT = UUID(int=1), UUID(int=2)
SHOWN = ids.show("job", JOB)
SENT = ids.show("evt", EVENT)


def mark(at: float, edge: str, pid: int = 1, key: str = "k") -> StepMark:
    return StepMark(at, "a", 0, edge, key, pid)


SEEN = Seen(
    told=[Told(0.0, 0.1, "a", SHOWN, 202)],
    marks=[mark(1.0, "begin"), mark(1.1, "end")],
    hooks=[Hook("2030-01-01", SENT, "job.succeeded", SHOWN, 200)],
    asked=[Asked("a/0", "k")],
)
STORED = Stored(
    jobs=[{"id": JOB, "key": "a", "steps": 1, "status": "succeeded", "has_webhook": True}],
    ends=[{"job_id": JOB, "type": "job.succeeded"}],
    steps=[{"job_id": JOB, "name": "walk", "key": "0", "ended_at": datetime.fromtimestamp(1.2, UTC)}],
    deliveries=[{"job_id": JOB, "event_id": EVENT, "type": "job.succeeded", "status": "succeeded"}],
)


def test_a_clean_run_is_clean() -> None:
    verdict = judge(SEEN, STORED)
    assert verdict.clean and verdict.reruns == 0, verdict.explained()


def test_a_step_in_flight_may_run_once_more_after_its_worker_was_felled() -> None:
    marks = [mark(0.5, "begin", pid=7), *SEEN.marks]
    verdict = judge(replace(SEEN, marks=marks), STORED, felled={7})
    assert verdict.clean and verdict.reruns == 1, verdict.explained()


def test_who_was_refused_has_lost_nothing() -> None:
    told = [*SEEN.told, Told(0.2, 0.3, "b", None, 429)]
    verdict = judge(replace(SEEN, told=told), STORED)
    assert verdict.clean, verdict.explained()


@pytest.mark.parametrize(
    ("letter", "seen", "stored"),
    [
        ("L", {}, {"jobs": []}),
        ("L", {}, {"jobs": [{**STORED.jobs[0], "status": "running"}]}),
        ("L", {}, {"ends": []}),
        ("L", {"marks": []}, {}),
        ("L", {"told": [Told(0.0, 0.1, "a", None, 503)]}, {}),
        ("W", {}, {"deliveries": []}),
        ("W", {}, {"deliveries": [{**STORED.deliveries[0], "status": "failed"}]}),
        ("W", {"hooks": []}, {}),
        ("D", {"marks": [*SEEN.marks, mark(1.3, "begin", pid=2)]}, {}),
        ("D", {"marks": [*SEEN.marks, mark(1.15, "begin", pid=2)]}, {}),
        ("D", {"marks": [*SEEN.marks, mark(1.15, "end", key="other")]}, {}),
        ("D", {"asked": [Asked("a/0", "k"), Asked("a/0", "other")]}, {}),
        ("D", {"hooks": [*SEEN.hooks, replace(SEEN.hooks[0], id="evt_other")]}, {}),
        ("D", {"told": [*SEEN.told, Told(0.2, 0.3, "a", ids.show("job", UUID(int=3)), 202)]}, {}),
        ("D", {"told": [Told(0.0, 0.1, "a", None, 429)]}, {}),
        ("D", {}, {"ends": STORED.ends * 2}),
        ("D", {}, {"jobs": [STORED.jobs[0], {**STORED.jobs[0], "id": UUID(int=4)}]}),
        ("D", {}, {"deliveries": STORED.deliveries * 2}),
    ],
)
def test_damage_is_seen(letter: str, seen: dict[str, Any], stored: dict[str, Any]) -> None:
    verdict = judge(replace(SEEN, **seen), replace(STORED, **stored))
    assert {"L": verdict.lost, "W": verdict.webhooks, "D": verdict.doubled}[letter], verdict.explained()
