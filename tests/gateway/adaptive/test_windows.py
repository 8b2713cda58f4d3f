"""Limits that are announced, and counted by the minute of the clock or over a sliding one: used whole, never passed."""

from __future__ import annotations

import random
from collections import deque
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bench.limits.measure import Figures, measure
from bench.limits.provider import Hidden
from bench.limits.scenario import Scenario
from bench.limits.service import Service
from bench.limits.traffic import Traffic
from bench.limits.world import World
from tests.gateway.adaptive.core import Pool

WINDOWS = ("minute", "sliding")


def run(window: str, rpm: float, traffic: Traffic) -> Figures:
    """Ten minutes, told the limit and how it is counted; a counter has no burst besides."""
    told: Any = (("requests_per_minute", rpm), ("window", window))
    world = World(Scenario("told", Hidden(rpm=rpm, window=window, burst_s=0), traffic, 600.0, told=told), 11)
    world.run(Service(world))
    return measure(world)


@pytest.mark.parametrize("window", WINDOWS)
def test_all_of_it_is_used_and_nothing_is_refused(window: str) -> None:
    figures = run(window, 900, Traffic(backlog=12000))
    assert figures["use"] >= 97 and figures["refused"] <= 0.1


@pytest.mark.parametrize("window", WINDOWS)
def test_so_is_a_small_limit(window: str) -> None:
    figures = run(window, 60, Traffic(backlog=1500, real_time=0.15))
    assert figures["use"] >= 97 and figures["refused"] <= 0.1


@settings(max_examples=25, deadline=None)
@example(per_minute=41, tokens=20_000, seed=332, window="minute")
@given(
    per_minute=st.integers(2, 1200), tokens=st.sampled_from([None, 20_000, 400_000]), seed=st.integers(0, 2**16),
    window=st.sampled_from(WINDOWS),
)  # fmt: skip
def test_no_minute_holds_more_than_was_announced(per_minute: int, tokens: int | None, seed: int, window: str) -> None:
    """However callers come: greedy, with pauses, in bursts."""
    chance, told = random.Random(seed), {"requests_per_minute": per_minute, "window": window}
    pool = Pool(**told, **({} if tokens is None else {"tokens_per_minute": tokens}), ceiling=5000)
    sent: deque[float] = deque()
    spent: deque[tuple[float, int]] = deque()
    end = pool.now + 150
    while pool.now < end:
        wait_s, _ = pool.ask(1, 300, 200)
        if wait_s == 0:
            sent.append(pool.now)
            spent.append((pool.now, 500))
            pool.settle(0, 200, 500)
        while sent and sent[0] <= pool.now - 60:
            sent.popleft()
            spent.popleft()
        assert len(sent) <= per_minute
        if tokens is not None:
            assert sum(cost for _, cost in spent) <= tokens
        pool.now += max(0.0, wait_s) + (chance.choice([0.0, 0.001, 0.02, 0.3, 20.0]) if chance.random() < 0.3 else 0)


def test_a_bucket_that_refills_keeps_its_burst() -> None:
    """What is counted by a bucket is as it was: a rest is made good."""
    calm, counted = Pool(requests_per_minute=600), Pool(requests_per_minute=600, window="minute")
    for pool in (calm, counted):
        pool.now += 30
    bursts = [sum(pool.ask()[0] == 0 for _ in range(20)) for pool in (calm, counted)]
    assert bursts[0] > bursts[1] >= 1


def test_what_headers_say_is_left_is_never_passed_and_does_not_come_back_before_its_minute() -> None:
    pool = Pool(window="minute")
    pool.ask()
    pool.now += 1.0
    pool.settle(0, 200, 150, limit_requests=600, left_requests=0)
    assert pool.ask()[1] == "paced"
    (limit,) = pool.view()["limits"].values()
    assert limit["source"] == "announced"
