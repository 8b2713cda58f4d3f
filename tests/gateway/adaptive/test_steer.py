"""What operators say and see: pause, drain, resume, announced limits, the breaker by hand."""

from __future__ import annotations

from typing import Any

import pytest

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


def test_nobody_is_woken_to_look_while_it_is_stopped() -> None:
    pool = Pool()
    for _ in range(10):
        pool.ask()
        pool.settle(0, 0)
        pool.now += 1.0
    assert pool.view()["breaker"] == "open"
    assert pool.adaptive.room(pool.state, pool.now + 60.0, 0, 10.0) == 1
    _steer(pool, "pause")
    assert pool.adaptive.room(pool.state, pool.now + 60.0, 0, 10.0) == 0
    _steer(pool, "pause", 65.0)
    assert pool.adaptive.room(pool.state, pool.now + 60.0, 0, 10.0) == 0
    assert pool.adaptive.room(pool.state, pool.now + 66.0, 0, 10.0) == 1


@pytest.mark.parametrize(("how", "forced"), [("open", True), ("closed", True), ("auto", None)])
def test_a_worker_alone_knows_what_was_forced(how: str, forced: bool | None) -> None:
    pool = Pool()
    _steer(pool, "breaker", how)
    assert pool.adaptive.beat(pool.state, pool.now, 1).forced is forced


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


def _by_name(pool: Pool) -> dict[str, Any]:
    return {limit["dimension"]: limit for limit in pool.view()["limits"].values()}


def test_an_announcement_that_is_taken_back_leaves_what_was_known_before() -> None:
    pool = Pool()
    before = pool.view()
    pool.adaptive.configure(pool.state, pool.now, pool.lua.table(ceiling=50, tokens_per_minute=1000, max_in_flight=3))
    assert pool.view()["cap"] == 3 and _by_name(pool)["tokens"]["binding"]
    assert not _by_name(pool)["requests"]["binding"], "tokens let fewer calls through"
    for _ in range(3):
        pool.ask()
        pool.now += 30.0
    pool.adaptive.configure(pool.state, pool.now, pool.lua.table(ceiling=50))
    assert pool.view()["cap"] == before["cap"]
    assert set(_by_name(pool)) == {"requests"}
    assert _by_name(pool)["requests"]["per_minute"] >= 120
    assert _by_name(pool)["requests"]["source"] == "guess"


def test_what_a_refusal_taught_below_an_announcement_outlives_it() -> None:
    pool = Pool(requests_per_minute=6000)
    for _ in range(40):
        assert pool.ask()[0] == 0
        pool.now += 0.1
        pool.settle(0, 200, 150)
    for _ in range(2):
        pool.ask()
        pool.now += 0.05
        pool.settle(0, 429)
        for _ in range(60):
            pool.now += 0.2
            if pool.ask()[0] == 0:
                pool.now += 0.01
                pool.settle(0, 200, 150)
    learned = _by_name(pool)["requests"]
    assert learned["source"] == "measured" and learned["per_minute"] < 6000 and learned["spread"] is not None
    pool.adaptive.configure(pool.state, pool.now, pool.lua.table(ceiling=50))
    assert _by_name(pool)["requests"] == learned


def test_what_was_learned_can_be_forgotten() -> None:
    pool = Pool()
    _steer(pool, "pause", 30.0)
    pool.state.dims[1].rate, pool.state.dims[1].source = 0.01, "measured"
    pool.state = pool.adaptive.forget(pool.state, pool.now)
    assert (_by_name(pool)["requests"]["per_minute"], _by_name(pool)["requests"]["source"]) == (120, "guess")
    assert pool.view()["stopped"] == "paused"
