"""The provider of one run: the simulated provider in a process of its own, its limits hidden."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from bench.limits.real.hidden import words
from bench.limits.real.told import Called, read
from bench.limits.scenario import Scenario
from bench.process import process

_ADDRESS = r"listening on (http://\S+)"


@dataclass(frozen=True, slots=True)
class Simulated:
    """Where it listens."""

    url: str

    def calls(self, began: float, until: float) -> list[Called]:
        """All calls since `began`."""
        found: list[Any] = []
        with httpx.Client(base_url=self.url, trust_env=False, timeout=60) as http:
            after = 0
            while page := (answer := http.get("/sim/calls", params={"after": after}).json())["data"]:
                found += page
                after = answer["next"]
        return read(found, began, until)


@contextmanager
def simulated(folder: Path, scenario: Scenario, seed: int, name: str = "provider") -> Iterator[Simulated]:
    """Running until the end of the block. Main thread only."""
    argv = (sys.executable, "-m", "app.loadtest.provider", *words(scenario, seed))
    with process(name, argv, folder / f"{name}.log", _ADDRESS) as running:
        yield Simulated(running.said[1])
