"""Aliases, ladders and pools."""

from __future__ import annotations

import pytest

from app.domain.errors import ProcessingError, SystemFault
from app.gateway.pool import Pool
from app.gateway.routes import Routes, Target
from app.settings import LadderTarget, ModelAlias, PoolSettings, ProviderSettings, Settings


def _settings(simulator_url: str | None = None) -> Settings:
    pools = {"small": PoolSettings(models=["mini-1", "mini-2"], max_in_flight=7), "big": PoolSettings(models=["big-1"])}
    main = ProviderSettings(dialect="openai", base_url="http://127.0.0.1:9/v1", pools=pools)
    ladder = [LadderTarget(provider="main", model="mini-1"), LadderTarget(provider="backup", model="other")]
    return Settings(
        providers={"main": main, "backup": ProviderSettings(dialect="openai", base_url="http://127.0.0.1:8/v1")},
        models={"small": ModelAlias(ladder=ladder), "large": ModelAlias(ladder=[ladder[0], ladder[1]])},
        simulator_url=simulator_url,
    )


def test_a_ladder_with_its_pools() -> None:
    assert Routes(_settings()).targets("small", test_mode=False) == (
        Target("main", "mini-1", Pool("main/small", 7)),
        Target("backup", "other", Pool("backup/other", 1000)),
    )


def test_a_pool_without_a_cap_takes_the_general_one() -> None:
    settings = _settings()
    alias = ModelAlias(ladder=[LadderTarget(provider="main", model="big-1")])
    routes = Routes(settings.model_copy(update={"models": {"big": alias}}))
    assert routes.targets("big", test_mode=False)[0].pool == Pool("main/big", 1000)


def test_an_unknown_alias_is_named_with_the_known_ones() -> None:
    with pytest.raises(ProcessingError, match="'tiny' is not configured") as caught:
        Routes(_settings()).targets("tiny", test_mode=False)
    assert caught.value.code == "workflow_error"
    assert "large, small" in caught.value.detail
    assert Routes(_settings()).aliases() == frozenset({"small", "large"})


def test_nothing_configured() -> None:
    with pytest.raises(ProcessingError, match="configured: none"):
        Routes(Settings()).targets("small", test_mode=False)


def test_the_simulated_provider_serves_any_alias() -> None:
    routes = Routes(Settings(simulator_url="http://127.0.0.1:9"))
    assert routes.aliases() is None
    (target,) = routes.targets("anything", test_mode=False)
    assert target == Target("simulated", "anything-sim", Pool("simulated/anything-sim", 1000))


def test_test_mode_goes_to_the_simulated_provider_or_nowhere() -> None:
    (target,) = Routes(_settings("http://127.0.0.1:9")).targets("small", test_mode=True)
    assert (target.provider, target.model) == ("simulated", "small-sim")
    with pytest.raises(SystemFault, match="simulator_url"):
        Routes(_settings()).targets("small", test_mode=True)
    with pytest.raises(ProcessingError):
        Routes(_settings("http://127.0.0.1:9")).targets("tiny", test_mode=True)
