"""Faults that pass: a call is made again, later each time, and nobody else waits for it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import uuid4

import pytest

from tests.stack import Stack

_FINE = {"label": "fine"}


@pytest.fixture
def wide(stack: Stack) -> Iterator[Stack]:
    """The stack with a provider whose limits nobody meets."""
    stack.submit("asks", {"text": "makes the pool known"}, wait=30)
    _steer(stack, "announce", {"requests_per_minute": 600_000, "max_in_flight": 100})
    # So many faults, and little else: it would open.
    _steer(stack, "breaker", {"state": "closed"})
    yield stack
    _steer(stack, "breaker", {"state": "auto"})
    _steer(stack, "announce", {})
    stack.provider.clear_answers()


def _steer(stack: Stack, act: str, body: dict[str, Any]) -> None:
    stack.client.post(f"/v1/pools/simulated/small-sim/{act}", json=body).raise_for_status()


def _calls(stack: Stack, text: str) -> list[dict[str, Any]]:
    return [call for call in stack.provider.calls() if call["item"] == text]


def _waits(calls: list[dict[str, Any]]) -> list[float]:
    """Seconds from the end of each call to the beginning of the next one."""
    ends = [datetime.fromisoformat(call["ended_at"]) for call in calls[:-1]]
    begins = [datetime.fromisoformat(call["arrived_at"]) for call in calls[1:]]
    return [(begin - end).total_seconds() for begin, end in zip(begins, ends, strict=True)]


@pytest.mark.parametrize("kind", ["http_500", "http_503", "http_529", "timeout", "reset", "truncated_body"])
def test_a_fault_that_passes_is_tried_again_later_each_time(wide: Stack, kind: str) -> None:
    text = f"{kind} {uuid4().hex}"
    wide.provider.set_answers({text: [{"$fault": kind}, {"$fault": kind}, {"$fault": kind}, _FINE]})
    job = wide.submit("asks-until-answered", {"text": text}, wait=30)
    assert (job["status"], job["output"]) == ("succeeded", _FINE)
    first, second, third = _waits(_calls(wide, text))
    assert 0.1 <= first < second < third, "exponential: each longer than the one before"


def test_a_rate_limit_is_no_try(wide: Stack) -> None:
    text = f"limited {uuid4().hex}"
    wide.provider.set_answers({text: [*[{"$fault": "rate_limited"}] * 5, _FINE]})
    job = wide.submit("asks-until-answered", {"text": text}, wait=60)
    assert (job["status"], job["attempt"]) == ("succeeded", 1), "five refusals are more than its tries"
    assert len(_calls(wide, text)) == 6


def test_an_item_that_fails_holds_up_nobody(wide: Stack) -> None:
    text = f"slow to come {uuid4().hex}"
    wide.provider.set_answers({text: [*[{"$fault": "http_503"}] * 3, _FINE]})
    failing = wide.submit("asks", {"text": text})["id"]
    others = [wide.submit("asks", {"text": f"other {n} {uuid4().hex}"})["id"] for n in range(20)]
    ended = {wide.ended(job)["ended_at"] for job in others}
    last = wide.ended(failing)
    assert last["status"] == "succeeded"
    assert max(ended) < last["ended_at"], "all went by while it waited for its tries"
