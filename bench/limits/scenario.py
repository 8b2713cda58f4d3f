"""The situations that the controller is put into; all of them start cold, and but for two none is told anything."""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.limits.provider import Hidden
from bench.limits.traffic import Traffic


@dataclass(frozen=True, slots=True)
class Scenario:
    """A provider, its traffic, and how many workers share it."""

    name: str
    hidden: Hidden
    traffic: Traffic = field(default_factory=Traffic)
    seconds: float = 900.0
    workers: int = 1
    redis_away: tuple[float, float] | None = None
    hop_s: float = 0.001  # between worker, Redis and provider; up to half more or less
    told: tuple[tuple[str, float], ...] = ()  # what the operator announces


_MIXED = {"input": (3000.0, 1.0), "real_time": 0.5}

_ALL = (
    Scenario("hidden_requests", Hidden(rpm=900)),
    Scenario("changes", Hidden(rpm=900, changes=((300.0, 450.0), (600.0, 900.0)))),
    Scenario("headers", Hidden(rpm=900, burst_s=60, tells=True)),
    Scenario("tokens_mixed", Hidden(rpm=6000, tpm=900e3), Traffic(**_MIXED)),
    Scenario("hidden_cap", Hidden(rpm=6000, most=40), Traffic(real_time=1.0)),
    Scenario("knee_20", Hidden(rpm=6000, knee=20), Traffic(real_time=0.5)),
    Scenario("knee_40", Hidden(rpm=6000, knee=40), Traffic(real_time=1.0)),
    Scenario("knee_120", Hidden(rpm=6000, knee=120), Traffic(real_time=3.0)),
    Scenario("four_workers", Hidden(rpm=900), workers=4),
    Scenario("outage", Hidden(rpm=900, outage=(300.0, 600.0))),
    Scenario("burst", Hidden(rpm=900), Traffic(1.0, 3.5, 0, burst=(120.0, 150.0, 10.0)), seconds=600.0),
    Scenario(
        "flood",
        Hidden(rpm=900),
        Traffic(backlog=12000, late=60.0, tenants=(("flood", 0.84), ("b", 0.08), ("c", 0.08))),
    ),
    Scenario("redis_away", Hidden(rpm=900), workers=4, redis_away=(400.0, 520.0)),
    # Beyond the bars: how it does elsewhere.
    Scenario("small_limit", Hidden(rpm=60), Traffic(real_time=0.15)),
    Scenario("tiny_limit", Hidden(rpm=10, burst_s=60), Traffic(real_time=0.03)),
    Scenario("minute_counter", Hidden(rpm=900, window="minute")),
    Scenario("sliding_counter", Hidden(rpm=900, window="sliding", burst_s=60)),
    Scenario("shallow_bucket", Hidden(rpm=900, burst_s=1)),
    Scenario("deep_bucket", Hidden(rpm=900, burst_s=60)),
    Scenario("refusals_count", Hidden(rpm=900, rejected_cost=1.0)),
    Scenario("slow_refusals", Hidden(rpm=900, reject_s=1.0)),
    Scenario("tokens_kept", Hidden(rpm=6000, tpm=1.2e6, settles=False), Traffic(**_MIXED)),
    Scenario("tokens_headers", Hidden(rpm=6000, tpm=900e3, burst_s=60, tells=True), Traffic(**_MIXED)),
    Scenario("changes_headers", Hidden(rpm=900, burst_s=60, changes=((300.0, 450.0), (600.0, 900.0)), tells=True)),
    Scenario("long_calls", Hidden(rpm=300, timeout_s=300), Traffic(real_time=0.5, output=(2500, 0.6), max_tokens=8000)),
    Scenario("sixteen_workers", Hidden(rpm=900), workers=16, redis_away=(400.0, 520.0)),
    Scenario("crowded", Hidden(rpm=900), Traffic(real_time=17.0, backlog=2000)),
    Scenario("told", Hidden(rpm=900), told=(("requests_per_minute", 900.0),)),
    Scenario("told_too_much", Hidden(rpm=900), told=(("requests_per_minute", 1800.0),)),
    Scenario("fast_calls", Hidden(rpm=6000, first_token_s=0.1, token_s=0.001), Traffic(3.0, backlog=90000)),
    Scenario("far_away", Hidden(rpm=900), hop_s=0.05),
)
SCENARIOS = {scenario.name: scenario for scenario in _ALL}
