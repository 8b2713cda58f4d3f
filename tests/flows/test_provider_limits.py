"""A provider's limits, met by the whole service: kept where they are told, found and followed where they are not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.flows.untold import POOL, tell_nothing
from tests.stack import ENDED, Stack, running_stack, until
from tests.supervise.embedded import open_folder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

_OUTAGE_S = 300.0


@contextmanager
def _serving(slots: int, *provider: str) -> Iterator[Stack]:
    """An API, and two workers of so many slots each, before a provider of whose limits nothing is told."""
    extra = {"LANEWAY_LANES__STANDARD__SLOTS": str(slots)}
    with open_folder() as folder, running_stack(folder, provider=provider, **extra) as made:
        tell_nothing(made)
        made.start_worker()
        made.start_worker()
        made.start_api()
        made.submit("asks", {"text": "makes the pool known"}, wait=30)
        yield made


def _submitted(stack: Stack, name: str, count: int) -> list[str]:
    return [str(stack.submit("asks", {"text": f"{name} {n}"})["id"]) for n in range(count)]


def _unended(stack: Stack) -> int:
    return int(stack.sql("select count(*) as n from jobs where status <> all($1)", list(ENDED))[0]["n"])


def _in_states(stack: Stack) -> dict[str, int]:
    found = stack.sql("select status, count(*) as n from jobs group by status")
    return {row["status"]: row["n"] for row in found}


def _pool(stack: Stack) -> dict[str, Any]:
    found = stack.client.get("/v1/pools").raise_for_status().json()["data"]
    return next(one for one in found if one["id"] == POOL)


def test_ten_thousand_a_minute_and_five_hundred_at_once_are_not_passed() -> None:
    with _serving(400, "--rpm", "10000", "--max-in-flight", "500", "--latency", "fixed(4000)") as stack:
        limits = {"requests_per_minute": 10_000, "max_in_flight": 500}
        stack.client.post(f"/v1/pools/{POOL}/announce", json=limits).raise_for_status()
        stack.provider.clear_calls()
        _submitted(stack, "item", 4000)
        until(lambda: _unended(stack) == 0, 300)
        stats = stack.provider.stats()
        assert _in_states(stack) == {"succeeded": 4001}
    assert 400 <= stats["max_in_flight_seen"] <= 500, "they were used, and not passed"
    assert stats["by_status"].get("429", 0) <= 0.008 * 4000


def test_more_go_at_once_while_that_helps_and_fewer_as_soon_as_it_does_not() -> None:
    """A provider whose answers take longer in proportion above forty at once, then above eight; nobody tells."""
    with _serving(150, "--knee", "40", "--latency", "fixed(1000)") as stack:
        assert _pool(stack)["most_in_flight"] < 30, "it begins slowly"
        _submitted(stack, "item", 5000)
        # It climbs until answers take longer, and comes back from there.
        time.sleep(20)
        until(lambda: 30 <= stack.provider.stats()["in_flight"] <= 60, 100)
        stack.provider.clear_calls()
        time.sleep(30)
        assert 30 <= stack.provider.stats()["max_in_flight_seen"] <= 80, "the workers have slots for three hundred"
        stack.provider.set_faults(knee=8)
        until(lambda: stack.provider.stats()["in_flight"] <= 16, 120)
        assert _pool(stack)["most_in_flight"] <= 20
        assert _unended(stack) > 100, "there was enough to do"


def test_five_minutes_without_a_provider_cost_no_job_and_few_calls() -> None:
    with _serving(50, "--latency", "fixed(100)") as stack:
        stack.provider.set_faults(down="503")
        stack.provider.clear_calls()
        began = time.monotonic()
        jobs = []
        while time.monotonic() - began < _OUTAGE_S:
            jobs += _submitted(stack, f"at {time.monotonic() - began:.0f}", 2)
            time.sleep(2)
        calls = stack.provider.stats()["calls"]
        stack.provider.reset_faults()
        until(lambda: _unended(stack) == 0, 120)
        ended = [stack.job(job) for job in jobs]
    assert {job["status"] for job in ended} == {"succeeded"}
    assert calls <= 150, "one looks whether it is there again, not each"
