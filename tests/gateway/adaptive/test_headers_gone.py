"""A limit that a provider announced once, and says nothing of any more."""

from __future__ import annotations

from typing import Any

from tests.gateway.adaptive.core import Pool


def _limits(pool: Pool) -> dict[str, tuple[float, str]]:
    return {one["dimension"]: (one["per_minute"], one["source"]) for one in pool.view()["limits"].values()}


def _answered(pool: Pool, status: int = 200, **said: Any) -> None:
    """The next call, as soon as it may go, and its answer."""
    while (wait_s := pool.ask()[0]) > 0:
        pool.now += wait_s
    pool.now += 0.1
    pool.settle(0, status, 150, **said)


def _told(requests: int, **more: int) -> dict[str, int]:
    return {"limit_requests": requests, "left_requests": requests - 1, **more}


def test_it_ages_out_with_the_answers_that_say_nothing() -> None:
    """One call a minute is let through; after three without the header it is found out anew."""
    pool = Pool()
    _answered(pool, **_told(1))
    for _ in range(2):
        _answered(pool)
        assert _limits(pool)["requests"] == (1, "announced")
    _answered(pool)
    assert _limits(pool) == {"requests": (120, "guess")}
    began = pool.now
    for _ in range(5):
        _answered(pool)
    assert pool.now - began < 10


def test_a_while_without_it_is_not_enough_and_some_answers_are_not() -> None:
    pool = Pool()
    _answered(pool, **_told(600))
    for _ in range(20):
        _answered(pool)
    assert _limits(pool)["requests"] == (600, "announced"), "so many within seconds"
    pool.now += 300
    for _ in range(2):
        _answered(pool, **_told(600))
        _answered(pool)
    assert _limits(pool)["requests"] == (600, "announced"), "it is still said now and then"


def test_refusals_and_failures_say_nothing_of_it() -> None:
    pool = Pool()
    _answered(pool, **_told(600))
    for status in (503, 401, 400, 598):
        pool.now += 100
        _answered(pool, status)
    assert _limits(pool)["requests"] == (600, "announced")


def test_one_of_two_that_has_gone_leaves_the_other() -> None:
    pool = Pool()
    _answered(pool, **_told(600, limit_tokens=600_000, left_tokens=599_000))
    for _ in range(4):
        pool.now += 30
        _answered(pool, **_told(600))
    assert _limits(pool) == {"requests": (600, "announced")}


def test_a_configured_limit_takes_its_place() -> None:
    pool = Pool(requests_per_minute=300)
    _answered(pool, **_told(30))
    for _ in range(4):
        pool.now += 60
        _answered(pool)
    assert _limits(pool)["requests"] == (300, "configured")
