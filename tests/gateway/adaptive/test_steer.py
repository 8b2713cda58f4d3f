"""What operators say and see: pause, drain, resume, announced limits, the breaker by hand."""

from __future__ import annotations

from tests.gateway.adaptive.core import Pool


def _steer(pool: Pool, act: str, value: object = None) -> None:
    pool.adaptive.steer(pool.state, pool.now, act, value)


def test_a_pause_ends_by_itself() -> None:
    pool = Pool()
    _steer(pool, "pause", 30.0)
    assert pool.ask() == (30.0, "blocked")
    assert pool.view()["stopped"] == "paused"
    pool.now += 30.0
    assert pool.ask() == (0, None)
    assert pool.view()["stopped"] is False


def test_a_drained_pool_grants_nothing_until_resumed() -> None:
    pool = Pool()
    pool.ask()
    _steer(pool, "drain")
    pool.now += 1e6
    assert pool.ask()[1] == "blocked"
    pool.settle(0, 200, 150)
    _steer(pool, "resume")
    assert pool.ask() == (0, None)


def test_the_breaker_by_hand() -> None:
    pool = Pool()
    _steer(pool, "breaker", "open")
    assert pool.ask()[1] == "breaker"
    _steer(pool, "breaker", "closed")
    assert pool.ask() == (0, None)


def test_announced_limits_are_shown_and_kept() -> None:
    pool = Pool(tokens_per_minute=6_000, max_in_flight=7)
    _steer(pool, "announce", pool.lua.table(requests_per_minute=600, tokens_per_minute=6_000, max_in_flight=7))
    limits = {limit["dimension"]: limit for limit in pool.view()["limits"].values()}
    assert limits["requests"]["per_minute"] == 600 and limits["requests"]["source"] == "configured"
    assert limits["tokens"]["per_minute"] == 6_000
    assert pool.view()["cap"] == 7


def test_a_pool_that_nobody_told_starts_slowly() -> None:
    pool = Pool()
    (limit,) = pool.view()["limits"].values()
    assert (limit["dimension"], limit["per_minute"], limit["source"]) == ("requests", 120, "guess")


def test_headers_are_believed() -> None:
    pool = Pool()
    pool.ask()
    pool.now += 1.0
    said = {"limit_requests": 300, "left_requests": 299, "limit_tokens": 90_000, "left_tokens": 89_000}
    pool.settle(0, 200, 150, **said)
    limits = {limit["dimension"]: limit for limit in pool.view()["limits"].values()}
    assert limits["requests"]["per_minute"] == 300 and limits["requests"]["source"] == "announced"
    assert limits["tokens"]["per_minute"] == 90_000


def test_a_worker_alone_keeps_to_its_share() -> None:
    pool = Pool(requests_per_minute=600)
    snapshot = pool.adaptive.beat(pool.state, pool.now, 4)
    (requests,) = snapshot.dimensions.values()
    assert (requests.name, requests.rate) == ("requests", 10 * 0.85 / 4)
    assert 1 <= snapshot.cap <= 4
