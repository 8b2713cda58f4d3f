"""Long and odd runs: the state stays small, and no answer of a provider stops a pool for good."""

from __future__ import annotations

import pytest

from tests.gateway.adaptive.core import Pool, numbers, plain


def _refused_again_and_again(pool: Pool, epochs: int) -> None:
    for epoch in range(epochs):
        for _ in range(25):
            pool.now += 0.5
            if pool.ask()[0] == 0:
                pool.settle(0, 429 if _ == 20 else 200, 150 + epoch % 7)


def test_the_state_stays_small() -> None:
    pool = Pool()
    _refused_again_and_again(pool, 150)
    early = len(numbers(plain(pool.state)))
    _refused_again_and_again(pool, 150)
    state = plain(pool.state)
    assert len(state["points"]) == 40
    assert len(state["prints"]) <= 9 and len(state["samples"]) <= 50 and len(state["medians"]) <= 60
    assert len(numbers(state)) <= early + 60  # samples come and go; nothing else does


@pytest.mark.parametrize("after_s", [1e6, 86_400.0])
def test_a_far_retry_after_is_not_obeyed_for_ever(after_s: float) -> None:
    pool = Pool()
    pool.ask()
    pool.now += 0.1
    pool.settle(0, 429, retry_after=after_s)
    assert pool.ask()[0] <= 310


def test_probes_of_the_breaker_respect_the_ceiling() -> None:
    pool = Pool(ceiling=3)
    pool.adaptive.steer(pool.state, pool.now, "breaker", "open")
    pool.adaptive.steer(pool.state, pool.now, "breaker", "auto")
    granted = 0
    for _ in range(20):
        pool.now += 60.0
        wait_s, _reason = pool.ask()
        granted += wait_s == 0
    assert (granted, pool.ask()) == (3, (-1, "full"))


def test_a_dead_provider_is_asked_now_and_then() -> None:
    pool = Pool()
    asked = 0
    for _ in range(3_000):
        pool.now += 0.1
        if pool.ask()[0] == 0:
            asked += 1
            pool.settle(0, 0)
    assert pool.view()["breaker"] == "open"
    assert 20 <= asked <= 140  # of 3,000 looks in five minutes
