"""Aliases, ladders and pools."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from app.domain import ids
from app.domain.errors import ProcessingError, SystemFault
from app.gateway.calls.routes import Routes, Target, in_turn
from app.gateway.pools.pool import Pool
from app.settings import LadderTarget, ModelAlias, PoolSettings, ProviderSettings, Settings

_BIG = PoolSettings(models=["big-1"], requests_per_minute=600, tokens_per_minute=90_000)


def _settings(simulator_url: str | None = None) -> Settings:
    pools = {"small": PoolSettings(models=["mini-1", "mini-2"], max_in_flight=7), "big": _BIG}
    main = ProviderSettings(dialect="openai", base_url="http://127.0.0.1:9/v1", pools=pools)
    ladder = [LadderTarget(provider="main", model="mini-1"), LadderTarget(provider="backup", model="other")]
    return Settings(
        providers={"main": main, "backup": ProviderSettings(dialect="openai", base_url="http://127.0.0.1:8/v1")},
        models={
            "small": ModelAlias(ladder=ladder),
            "large": ModelAlias(ladder=[ladder[0], ladder[1]]),
            "one": ModelAlias(ladder=ladder[:1]),
        },
        simulator_url=simulator_url,
    )


def _plain(target: Target) -> Target:
    """Without the mark of its credential."""
    return replace(target, pool=replace(target.pool, credential=None))


def test_a_ladder_with_its_pools() -> None:
    assert tuple(_plain(one) for one in Routes(_settings()).targets("small", test_mode=False)) == (
        Target("main", "mini-1", Pool("main/small", 7, at_once=7)),
        Target("backup", "other", Pool("backup/other", 1000)),
    )


def test_a_pool_without_a_cap_takes_the_general_one() -> None:
    settings = _settings()
    alias = ModelAlias(ladder=[LadderTarget(provider="main", model="big-1")])
    routes = Routes(settings.model_copy(update={"models": {"big": alias}}))
    assert _plain(routes.targets("big", test_mode=False)[0]).pool == Pool("main/big", 1000, 600, 90_000)


def test_another_key_or_address_is_another_credential() -> None:
    def mark(**changes: object) -> str | None:
        settings = _settings()
        main = settings.providers["main"].model_copy(update=changes)
        return (
            Routes(settings.model_copy(update={"providers": {"main": main}})).targets("one", False)[0].pool.credential
        )

    marks = [mark(), mark(api_key=SecretStr("a")), mark(api_key=SecretStr("b")), mark(base_url="http://127.0.0.1:7/v1")]
    assert len(set(marks)) == 4 and mark() == marks[0]


def test_an_unknown_alias_is_named_with_the_known_ones() -> None:
    with pytest.raises(ProcessingError, match="'tiny' is not configured") as caught:
        Routes(_settings()).targets("tiny", test_mode=False)
    assert caught.value.code == "workflow_error"
    assert "large, one, small" in caught.value.detail
    assert Routes(_settings()).aliases() == frozenset({"small", "large", "one"})


def test_nothing_configured() -> None:
    with pytest.raises(ProcessingError, match="configured: none"):
        Routes(Settings()).targets("small", test_mode=False)


def test_the_simulated_provider_serves_any_alias() -> None:
    routes = Routes(Settings(simulator_url="http://127.0.0.1:9"))
    assert routes.aliases() is None
    (target,) = routes.targets("anything", test_mode=False)
    assert target == Target("simulated", "anything-sim", Pool("simulated/anything-sim", 1000, 60_000_000, at_once=1000))


def test_test_mode_goes_to_the_simulated_provider_or_nowhere() -> None:
    (target,) = Routes(_settings("http://127.0.0.1:9")).targets("small", test_mode=True)
    assert (target.provider, target.model) == ("simulated", "small-sim")
    with pytest.raises(SystemFault, match="simulator_url"):
        Routes(_settings()).targets("small", test_mode=True)
    with pytest.raises(ProcessingError):
        Routes(_settings("http://127.0.0.1:9")).targets("tiny", test_mode=True)


def _ladder(*weights: int | None) -> list[LadderTarget]:
    return [LadderTarget(provider=f"p{n}", model="m", weight=weight) for n, weight in enumerate(weights)]


_WEIGHTS = st.lists(st.none() | st.integers(0, 20), min_size=1, max_size=6).filter(
    lambda given: any(weight != 0 for weight in given)
)


@given(_WEIGHTS, st.floats(0, 1, exclude_max=True))
def test_each_target_is_asked_once_and_those_below_keep_their_order(weights: list[int | None], share: float) -> None:
    ladder = _ladder(*weights)
    turn = in_turn(ladder, share)
    assert sorted(rung.provider for rung in turn) == sorted(rung.provider for rung in ladder)
    assert turn[0].weight != 0
    assert turn[1:] == [rung for rung in ladder if rung is not turn[0]]


@given(_WEIGHTS.filter(any), st.integers(1, 10))
def test_calls_are_shared_exactly_by_weight(weights: list[int | None], grain: int) -> None:
    """Places that lie evenly in the sum of the weights are dealt out by weight; a target that names none counts 1."""
    counted = [1 if weight is None else weight for weight in weights]
    places = sum(counted) * grain
    firsts = [in_turn(_ladder(*weights), (place + 0.5) / places)[0].provider for place in range(places)]
    assert [firsts.count(f"p{n}") for n in range(len(counted))] == [weight * grain for weight in counted]


@given(st.floats(0, 1, exclude_max=True))
def test_without_weights_the_ladder_is_asked_from_the_top(share: float) -> None:
    ladder = _ladder(None, None, None)
    assert in_turn(ladder, share) == ladder


def test_a_call_s_share_is_its_own_and_spread_evenly() -> None:
    shares = [ids.share(f"question {n}") for n in range(4000)]
    assert shares == [ids.share(f"question {n}") for n in range(4000)]
    assert all(0 <= share < 1 for share in shares)
    firsts = [in_turn(_ladder(3, None), share)[0].provider for share in shares]
    # Fixed names, so a fixed count: three quarters, with less than three standard deviations (82) to either side.
    assert abs(firsts.count("p0") - 3000) < 82
