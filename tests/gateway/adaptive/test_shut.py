"""A pool that is shut: its credential is refused, or it was told to stay away for long. Trials open it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gateway.adaptive.core import Pool

_LIE_S = 999_999_999.0


def _steady(**limits: Any) -> Pool:
    """A pool with calls in hand."""
    pool = Pool(requests_per_minute=60_000, **limits)
    pool.now += 1.0
    return pool


def _refused(pool: Pool) -> None:
    """Its credential is refused."""
    assert pool.ask() == (0, None)
    pool.now += 0.1
    pool.settle(len(pool.flying) - 1, 401, refused=True)


def test_after_a_refused_credential_nothing_goes_but_a_trial() -> None:
    pool = _steady()
    _refused(pool)
    wait_s, reason = pool.ask()
    assert reason == "auth" and 0 < wait_s <= 10
    assert pool.view()["shut"] == "provider_auth"
    pool.now += wait_s
    assert pool.ask() == (0, None)
    assert pool.flying[0][1].trial
    assert [pool.ask()[1] for _ in range(5)] == ["auth"] * 5


def test_trials_are_few_and_go_on() -> None:
    pool, trials = _steady(), 0
    began = pool.now
    _refused(pool)
    while pool.now < began + 3600:
        wait_s, _ = pool.ask()
        if wait_s == 0:
            trials += 1
            pool.settle(0, 401, refused=True)
        else:
            assert wait_s <= 60
            pool.now += wait_s
    assert 60 <= trials <= 80


def test_a_trial_that_is_answered_opens_it_for_all() -> None:
    pool = _steady()
    _refused(pool)
    pool.now += pool.ask()[0]
    pool.ask()
    pool.settle(0, 200, 150)
    assert [pool.ask() for _ in range(3)] == [(0, None)] * 3
    assert not pool.view()["shut"]


@pytest.mark.parametrize("status", [0, 503, 598, 400])
def test_a_trial_that_says_nothing_of_the_credential_opens_nothing(status: int) -> None:
    pool = _steady()
    _refused(pool)
    pool.now += pool.ask()[0]
    pool.ask()
    pool.settle(0, status)
    assert pool.ask()[1] == "auth"


def test_calls_of_before_say_nothing_and_a_later_one_that_is_answered_does() -> None:
    pool = _steady()
    for _ in range(3):
        pool.ask()
    pool.settle(1, 403, refused=True)
    pool.settle(0, 200, 150)
    assert pool.ask()[1] == "auth"
    pool.settle(0, 200, 150)
    assert pool.ask() == (0, None), "one that was sent after the refused one was answered"


def test_one_refusal_among_answers_stops_nothing() -> None:
    """A provider that refuses one question with a 403 answers those that were sent after it."""
    pool = _steady()
    pool.ask()
    pool.ask()
    pool.settle(1, 200, 150)
    pool.settle(0, 403, refused=True)
    assert pool.ask() == (0, None)


def test_a_lie_of_years_shuts_a_pool_for_a_minute() -> None:
    pool = _steady()
    pool.ask()
    pool.settle(0, 429, retry_after=_LIE_S)
    wait_s, reason = pool.ask()
    assert reason == "told" and 59 <= wait_s <= 60
    assert pool.view()["shut"] == "retry_after"
    pool.now += wait_s
    assert pool.ask() == (0, None)
    assert pool.ask()[1] == "told"
    pool.settle(0, 200, 150)
    assert not pool.view()["shut"]
    wait_s, _ = pool.ask()
    assert wait_s < 5


def test_a_quota_of_hours_costs_one_call_a_minute() -> None:
    pool, trials = _steady(), 0
    began = pool.now
    pool.ask()
    pool.settle(0, 429, retry_after=7200.0)
    while pool.now < began + 3600:
        wait_s, _ = pool.ask()
        if wait_s == 0:
            trials += 1
            pool.settle(0, 429, retry_after=began + 7200 - pool.now)
        else:
            assert 0 < wait_s <= 60
            pool.now += wait_s
    assert 55 <= trials <= 61


def test_calls_that_were_in_the_air_do_not_end_what_a_provider_asked_for() -> None:
    pool = _steady()
    pool.ask()
    pool.ask()
    pool.settle(0, 429, retry_after=600.0)
    pool.settle(0, 200, 150)
    assert pool.ask()[1] == "told"


@pytest.mark.parametrize(("retry_after", "known"), [(30.0, False), (_LIE_S, False), (_LIE_S, True)])
def test_an_operator_opens_it_at_once(retry_after: float, known: bool) -> None:
    pool = _steady()
    pool.ask()
    said = {"limit_requests": 600, "left_requests": 0} if known else {}
    pool.settle(0, 429, retry_after=retry_after, **said)
    assert pool.ask()[0] > 5
    pool.adaptive.steer(pool.state, pool.now, "resume", None)
    assert pool.ask()[0] < 1


def test_another_credential_opens_what_the_old_one_shut() -> None:
    pool = _steady(credential="old")
    _refused(pool)
    assert pool.ask()[1] == "auth"
    pool.adaptive.configure(pool.state, pool.now, pool.lua.table(ceiling=50, credential="old"))
    assert pool.ask()[1] == "auth"
    pool.adaptive.configure(pool.state, pool.now, pool.lua.table(ceiling=50, credential="new"))
    assert pool.ask() == (0, None)


def test_as_many_parked_jobs_come_as_there_are_trials() -> None:
    pool = _steady()
    for _ in range(30):
        pool.ask()
        pool.settle(0, 200, 150)
    _refused(pool)
    assert pool.adaptive.room(pool.state, pool.now, 0, 2.0) == 0
    pool.now += 4.5
    assert pool.adaptive.room(pool.state, pool.now, 0, 2.0) == 1
