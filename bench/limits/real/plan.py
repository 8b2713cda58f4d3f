"""The situations of the measured run: those of the bars, shorter, since here a second is a second."""

from __future__ import annotations

from dataclasses import replace

from bench.limits.bars import BARS
from bench.limits.scenario import SCENARIOS, Scenario

_SECONDS = 420.0
# Knees and mixed tokens are found slowly, the fewer calls the slower: a shorter run would measure the slow start.
_LONGER_S = {"knee_20": 900.0, "knee_40": 600.0, "knee_120": 600.0, "tokens_mixed": 900.0}


def _shorter(name: str) -> Scenario:
    scenario = SCENARIOS[name]
    scenario = replace(scenario, seconds=_LONGER_S.get(name, _SECONDS))
    hidden, traffic = scenario.hidden, scenario.traffic
    if name == "changes":
        return replace(scenario, hidden=replace(hidden, changes=((140.0, 450.0), (280.0, 900.0))))
    if name == "outage":
        return replace(scenario, hidden=replace(hidden, outage=(100.0, 400.0)), seconds=480.0)
    if name == "burst":
        return replace(scenario, traffic=replace(traffic, burst=(120.0, 150.0, 10.0)), seconds=240.0)
    if name == "flood":
        return replace(scenario, traffic=replace(traffic, backlog=3000, late=5.0), seconds=300.0)
    if name == "redis_away":
        return replace(scenario, redis_away=(180.0, 300.0))
    return scenario


def _bounded(scenario: Scenario) -> Scenario:
    """A backlog that outlasts the run by a fifth, not by hours: each job is submitted and stored here."""
    hidden, traffic = scenario.hidden, scenario.traffic
    if traffic.backlog == 0 or len(traffic.tenants) > 1:
        return scenario
    mean_s = hidden.first_token_s + hidden.token_s * traffic.output[0]
    rates = (hidden.rpm / 60, hidden.tpm / 60 / (traffic.input[0] + traffic.output[0]), hidden.most / mean_s,
             hidden.knee / mean_s)  # fmt: skip
    return replace(scenario, traffic=replace(traffic, backlog=int(1.2 * min(rates) * scenario.seconds)))


PLANS: dict[str, Scenario] = {name: _bounded(_shorter(name)) for name in BARS}


def shortened(scenario: Scenario, seconds: float | None) -> Scenario:
    """For a quick look: nothing that comes later happens."""
    return scenario if seconds is None else replace(scenario, seconds=seconds)
