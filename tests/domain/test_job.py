"""The table of transitions: complete, and with no way out of an end but a retry."""

from __future__ import annotations

from app.domain.errors import Failure, InputError, ProcessingError, failure_of
from app.domain.job import TERMINAL, TRANSITIONS, Status, Verb, allowed


def test_every_state_can_be_reached_and_every_live_state_left() -> None:
    reached = {after for _, targets in TRANSITIONS.values() for after in targets}
    left = {before for sources, _ in TRANSITIONS.values() for before in sources}
    assert reached == set(Status)
    assert left >= set(Status) - TERMINAL


def test_an_end_is_left_only_by_a_retry() -> None:
    ways = {verb for verb, (sources, _) in TRANSITIONS.items() if sources & TERMINAL}
    assert ways == {Verb.RETRY}
    assert not allowed(Verb.RETRY, Status.SUCCEEDED, Status.QUEUED)


def test_only_running_jobs_settle() -> None:
    for status in Status:
        assert allowed(Verb.SETTLE, status, Status.SUCCEEDED) == (status is Status.RUNNING)


def test_a_bug_is_a_processing_failure_and_a_fault_keeps_its_class() -> None:
    assert failure_of(TypeError("x")).code == "workflow_error"
    assert failure_of(InputError("x", code="too_long")).code == "too_long"
    assert failure_of(ProcessingError("x"), "classify").step == "classify"
    assert isinstance(failure_of(KeyError("k")), Failure)
