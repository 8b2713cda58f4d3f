"""The simulated provider in a process of its own, and what its call log tells of a run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import httpx

from bench.process import process

_ADDRESS = r"listening on (http://\S+)"


@dataclass(frozen=True, slots=True)
class Provider:
    """Where it listens."""

    url: str
    pid: int

    def forget(self) -> None:
        """Empty the call log."""
        httpx.delete(f"{self.url}/sim/calls", trust_env=False).raise_for_status()

    def window(self, calls: int) -> tuple[float, int]:
        """Seconds from the first call's arrival to the last one's end, and the most in flight.

        Raises RuntimeError unless exactly so many calls came and were answered.
        """
        with httpx.Client(base_url=self.url, trust_env=False, timeout=30) as http:
            stats = http.get("/sim/stats").raise_for_status().json()
            if stats["by_outcome"] != {"ok": calls}:
                raise RuntimeError(f"{calls} calls were expected, these came: {stats}")
            times = [time for page in _pages(http) for time in page]
        return (max(times) - min(times)).total_seconds(), stats["max_in_flight_seen"]


@contextmanager
def provider(folder: Path, latency_ms: int) -> Iterator[Provider]:
    """Running until the end of the block; every answer takes so long."""
    argv = (sys.executable, "-m", "app.loadtest.provider", "--port", "0", "--latency", f"fixed({latency_ms})")
    with process("provider", argv, folder / f"provider-{latency_ms}.log", _ADDRESS) as running:
        yield Provider(running.said[1], running.pid)


def _pages(http: httpx.Client) -> Iterator[list[datetime]]:
    """Arrivals and ends, page by page."""
    after = 0
    while calls := (page := http.get("/sim/calls", params={"after": after}).raise_for_status().json())["data"]:
        yield [datetime.fromisoformat(call[field]) for call in calls for field in ("arrived_at", "ended_at")]
        after = page["next"]
