"""A scenario's provider as the simulated provider's settings, and what changes in them while it runs."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping
from typing import Any

import httpx

from bench.limits.provider import INF, Hidden
from bench.limits.real.call import MODEL
from bench.limits.scenario import Scenario

_P99 = 2.3263  # standard deviations


def words(scenario: Scenario, seed: int) -> tuple[str, ...]:
    """The command line of `app.loadtest.provider`."""
    hidden, traffic = scenario.hidden, scenario.traffic
    mean, sigma = traffic.output
    median = mean * math.exp(-(sigma**2) / 2)
    found: dict[str, object] = {
        "port": 0,
        "seed": seed,
        "model": MODEL,
        "latency": f"tokens({hidden.first_token_s * 1000:g},{hidden.token_s * 1000:g},{hidden.sigma:g})",
        "answer-tokens": f"lognormal({median:.1f},{median * math.exp(sigma * _P99):.1f})",
        "max-tokens": traffic.max_tokens,
        "refusal": f"uniform({700 * hidden.reject_s:g},{1300 * hidden.reject_s:g})",
        "error-rate": f"http_500={hidden.error_rate:g}",
        "burst-s": f"{hidden.burst_s:g}",
        "limit-headers": "full" if hidden.tells else "none",
        **_bounds(hidden),
    }
    return tuple(word for name, value in found.items() for word in (f"--{name}", str(value)))


def _bounds(hidden: Hidden) -> dict[str, int]:
    bounds = {"rpm": hidden.rpm, "tpm": hidden.tpm, "max-in-flight": hidden.most, "knee": hidden.knee}
    return {name: int(value) for name, value in bounds.items() if value < INF}


def changes(hidden: Hidden) -> list[tuple[float, Mapping[str, Any]]]:
    """When which settings change (seconds since the start), in order."""
    found: list[tuple[float, Mapping[str, Any]]] = [(when, {"rpm": int(rpm)}) for when, rpm in hidden.changes]
    if hidden.outage:
        # As in the simulation: three calls in ten hang, the others fail within half a second, none is counted.
        begin, end = hidden.outage
        down = {"error_rates": {"timeout": 0.3, "http_503": 0.7}, "latency": "uniform(200,600)", "rpm": None}
        found += [(begin, down), (end, {})]
    return sorted(found, key=lambda change: change[0])


async def change(url: str, hidden: Hidden, began: float) -> None:
    """Change them at a running provider, each at its time; `began` in seconds of `time.time()`."""
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as http:
        for when, settings in changes(hidden):
            await asyncio.sleep(began + when - time.time())
            (await http.put("/sim/faults", json=settings)).raise_for_status()
