"""The sentence for every state and reason: those that no job can reach yet, too."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.domain import ids
from app.domain.duration import shown
from app.domain.errors import Disposition, ErrorClass, Failure
from app.domain.job import Job, Reason, Status
from app.jobs.situation import Queue, Situation, Worker
from app.store.places import MOST, Ahead

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
_FAILURE = Failure(ErrorClass.TRANSIENT, "provider_timeout", "too late", "ask")
_QUEUE = Queue("standard", 41, 12.3, 2, 20, 20)


def job(status: Status, reason: Reason | None = None, **changes: Any) -> Job:
    """A job that was submitted a minute ago, started half a minute ago, and goes on in a minute and a half."""
    known: dict[str, Any] = {
        "id": ids.uuid7(), "workflow": "noop", "lane": "standard", "status": status, "reason": reason, "attempt": 2,
        "due_at": NOW + timedelta(seconds=90), "created_at": NOW - timedelta(seconds=60),
        "started_at": NOW - timedelta(seconds=30), "claimed_at": NOW - timedelta(seconds=30),
        "ended_at": NOW if status.terminal else None, "degraded": [], "cancel_requested": False,
    }  # fmt: skip
    return Job(**{**{field.name: None for field in fields(Job)}, **known, **changes})


def said(found: Job, **more: Any) -> str:
    """Its sentence."""
    return Situation(found, NOW, **more).sentence()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "41 ahead in standard, about 12 s"),
        ({"ahead": 0, "eta_s": 0.2}, "none ahead in standard, about 1 s"),
        ({"ahead": 4100, "eta_s": 7300.0}, "4,100 ahead in standard, about 2 h 1 min"),
        ({"ahead": MOST + 1}, "over 10,000 ahead in standard, about 12 s"),
        ({"eta_s": None}, "41 ahead in standard, nothing has ended here of late to go by"),
        ({"workers": 0}, "no worker serves standard, 41 ahead in standard"),
        ({"paused": "the lane standard"}, "the lane standard is paused, 41 ahead in standard"),
        (
            {"opens_at": NOW + timedelta(hours=10)},
            "off-peak hours of standard begin at 2026-01-31 22:00:00 UTC, in 10 h",
        ),
    ],
)
def test_a_due_job(changes: dict[str, Any], sentence: str) -> None:
    queue = replace(_QUEUE, **changes)
    assert said(job(Status.QUEUED, due_at=NOW), queue=queue) == f"queued: {sentence}"
    over = said(job(Status.SCHEDULED, Reason.SLEEP, due_at=NOW), queue=queue)
    assert over == f"scheduled: its time has come (sleep), {sentence}"


def test_every_reason_has_its_sentence() -> None:
    """Each names what is waited for and until when; none is the same as another's. `paused` is only read at claims."""
    scheduled = (Reason.RUN_AT, Reason.OFF_PEAK, Reason.RETRY, Reason.SLEEP)
    sentences = set()
    waits = set(Reason) - {Reason.PAUSED, Reason.ORDERING}
    for reason in waits:
        status = Status.SCHEDULED if reason in scheduled else Status.WAITING
        sentence = said(job(status, reason))
        assert sentence.startswith(f"{status}: ") and "1 min 30 s" in sentence, sentence
        sentences.add(sentence)
    assert len(sentences) == len(waits)


def test_every_end_has_its_sentence() -> None:
    assert said(job(Status.SUCCEEDED)) == "succeeded: after 1 min, attempt 2"
    assert said(job(Status.SUCCEEDED, degraded=[{}])) == "succeeded: after 1 min, attempt 2, without 1 of its parts"
    for disposition, aside in (
        (Disposition.DEAD_LETTER, "a dead letter"),
        (Disposition.QUARANTINE, "quarantined"),
        (Disposition.REJECTED, "rejected in review"),
    ):
        failed = said(job(Status.FAILED, error=_FAILURE, disposition=disposition))
        assert failed == f"failed: provider_timeout (transient) in step ask, after 1 min, attempt 2, {aside}"
    unstarted = said(job(Status.EXPIRED, error=replace(_FAILURE, step=None), started_at=None))
    assert unstarted == "expired: provider_timeout (transient), after 1 min, before it started"


def test_waits_with_a_cause() -> None:
    retry = said(job(Status.SCHEDULED, Reason.RETRY, error=_FAILURE))
    assert retry == "scheduled: attempt 2 in 1 min 30 s, after provider_timeout (transient) in step ask"
    children = said(job(Status.WAITING, Reason.CHILDREN), children=(100, 63))
    assert children == "waiting: 37 of 100 children have ended"
    first = ids.uuid7()
    ordered = said(job(Status.QUEUED, Reason.ORDERING), ahead=Ahead(first, "running", 3))
    assert said(job(Status.QUEUED, Reason.ORDERING)) == "queued: its turn has just come, by its ordering key"
    assert ordered == f"queued: behind {ids.show('job', first)} (running) and 2 more, by its ordering key"


def test_running() -> None:
    since = NOW - timedelta(seconds=3)
    worker = Worker("host", 7, True, 0.2, tuple(("ask", key, since) for key in "abcde"))
    running = job(Status.RUNNING)
    assert said(running, worker=replace(worker, steps=())) == "running: for 30 s, attempt 2, on host:7"
    assert said(running, worker=replace(worker, steps=(("ask", "", since),))).startswith("running: step ask for 3 s, ")
    told = said(replace(running, cancel_requested=True), worker=worker)
    steps = ", ".join(f"step ask[{key}] for 3 s" for key in "abc")
    assert told == f"running: {steps}, 2 more steps, attempt 2, on host:7, told to cancel"
    lost = said(running, worker=replace(worker, steps=(), alive=False))
    assert lost == "running: for 30 s, attempt 2, its worker host is lost"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"), (-3, "0 s"), (0.04, "0.1 s"), (2.0, "2 s"), (2.34, "2.3 s"), (9.96, "10 s"), (12.4, "12 s"),
        (59.7, "1 min"), (95, "1 min 35 s"), (3600, "1 h"), (7325, "2 h 2 min"), (90000, "1 d 1 h"),
    ],
)  # fmt: skip
def test_durations_for_people(seconds: float, text: str) -> None:
    assert shown(seconds) == text
