"""Short runs in virtual time, with room to the bars: the whole of the rules against a provider with hidden limits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bench.limits.measure import Figures, measure
from bench.limits.provider import Hidden
from bench.limits.scenario import Scenario
from bench.limits.service import Service
from bench.limits.traffic import Traffic
from bench.limits.world import World


def _run(name: str, hidden: Hidden, traffic: Traffic, seconds: float = 240.0, **more: Any) -> Figures:
    world = World(Scenario(name, hidden, replace(traffic, backlog=6000), seconds, **more), 7)
    world.run(Service(world))
    return measure(world)


def test_a_hidden_limit_is_found_and_kept() -> None:
    figures = _run("requests", Hidden(rpm=900), Traffic(), workers=3)
    assert figures["use"] >= 90 and figures["refused"] <= 1.5


def test_announced_limits_are_never_passed() -> None:
    figures = _run("headers", Hidden(rpm=900, burst_s=60, tells=True), Traffic())
    assert figures["use"] >= 90 and figures["refused"] <= 0.1


def test_a_cap_on_calls_is_named_and_kept_though_calls_overtake_one_another() -> None:
    figures = _run("cap", Hidden(rpm=6000, most=40), Traffic(real_time=0.5), seconds=300.0, hop_s=0.01)
    assert figures["use"] >= 88 and figures["refused"] <= 1


def test_tokens_are_measured() -> None:
    traffic = Traffic(input=(3000.0, 1.0), real_time=0.5)
    figures = _run("tokens", Hidden(rpm=6000, tpm=900e3), traffic)
    assert figures["use"] >= 85 and figures["refused"] <= 2.5


def test_a_lower_limit_is_taken_at_once() -> None:
    figures = _run("changes", Hidden(rpm=900, changes=((120.0, 450.0), (180.0, 900.0))), Traffic())
    assert figures["refused"] <= 2.5 and figures["up_again_s"] <= 45


def test_an_outage_is_left_alone() -> None:
    figures = _run("outage", Hidden(rpm=900, outage=(60.0, 180.0)), Traffic())
    assert figures["outage_attempts"] <= 120 and figures["first_success_s"] <= 10


def test_more_calls_than_help_are_not_sent() -> None:
    figures = _run("knee", Hidden(rpm=6000, knee=20), Traffic(real_time=0.5), seconds=300.0)
    assert figures["use"] >= 90 and figures["slower"] <= 2


def test_a_fast_provider_without_limits_is_reached_within_seconds() -> None:
    fast = Hidden(rpm=600_000, first_token_s=0.1, token_s=0.001)
    figures = _run("fast", fast, Traffic(), seconds=16.0)
    assert figures["attempts"] >= 1500
