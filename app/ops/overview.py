"""The whole service at a glance: each lane's work, slots and pace, and the processes; from what all have in common."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from app.domain.clock import Clock
from app.settings import LANES
from app.store.database import StoreAway
from app.store.depth import Depth, DepthRow
from app.store.reports import ProcessRow, Reports

_FRESH_S = 2.0
# Counting takes at most this part of the time: what took 100 ms is not done again for 2 s.
_DUTY = 1 / 20
# Slot-seconds of a start, and of a job of which nothing is known: as tenants' turns count them.
_LEAST_S, _UNKNOWN_S = 0.1, 1.0


@dataclass(frozen=True, slots=True)
class LaneLook:
    """One lane. `slots`, `in_use`, `ended` (last minute) and `busy_s` (what those took) are sums over live workers.

    `runs_s` is what a run takes by workflow, as the workers have it on average.
    """

    name: str
    rows: tuple[DepthRow, ...]
    paused: bool
    workers: int
    slots: int
    in_use: int
    ended: int
    busy_s: float
    runs_s: Mapping[str, float]

    def count(self, status: str) -> int:
        """Unfinished jobs in that state."""
        return sum(row.count for row in self.rows if row.status == status)

    @property
    def due(self) -> int:
        """Jobs that may start now."""
        return sum(row.due for row in self.rows)

    @property
    def oldest_s(self) -> float:
        """The age of the oldest that may start."""
        return max((row.oldest_s for row in self.rows), default=0.0)

    @property
    def run_s(self) -> float | None:
        """What a run takes: what those took that ended within the last minute, or more where those that go on do."""
        going_on = [row.running_s for row in self.rows if row.status == "running" and row.count]
        ended = [self.busy_s / self.ended] if self.ended else []
        return max([*ended, *going_on], default=None)

    def cost_s(self, workflow: str) -> float:
        """The slot-seconds that a claim of the workflow counts for, about."""
        return max(_LEAST_S, self.runs_s.get(workflow) or self.run_s or _UNKNOWN_S)

    def eta_s(self, jobs: int, run_s: float | None) -> float | None:
        """When a slot is free for the last of so many jobs that take `run_s` each; None: unknown."""
        if jobs == 0:
            return 0.0
        return jobs * run_s / self.slots if run_s is not None and self.slots else None


@dataclass(frozen=True, slots=True)
class Look:
    """All lanes in their order, and all processes, those included that ended a moment ago."""

    lanes: tuple[LaneLook, ...]
    processes: tuple[ProcessRow, ...]

    def lane(self, name: str) -> LaneLook:
        """The lane of that name. Raises KeyError."""
        return {lane.name: lane for lane in self.lanes}[name]

    def count(self, role: str) -> int:
        """Live processes of that role."""
        return sum(process.role == role for process in self.alive)

    @property
    def alive(self) -> tuple[ProcessRow, ...]:
        """The processes that live."""
        return tuple(process for process in self.processes if process.alive)


class Overview:
    """Looks for whoever asks; those who ask at once, or soon after, share a look."""

    def __init__(self, depth: Depth, reports: Reports, clock: Clock) -> None:
        self._depth = depth
        self._reports = reports
        self._clock = clock
        self._looking = asyncio.Lock()
        self._known: Look | None = None
        self._known_until = float("-inf")

    async def look(self) -> Look:
        """The service as it stands. Raises StoreAway."""
        async with self._looking:
            began = self._clock.monotonic()
            if self._known is None or began >= self._known_until:
                self._known = await self._read()
                ended = self._clock.monotonic()
                self._known_until = ended + (ended - began) / _DUTY
            return self._known

    async def run(self) -> None:
        """Look every two seconds until canceled, for whoever cannot wait for a look."""
        while True:
            with suppress(StoreAway):
                await self.look()
            await self._clock.sleep(_FRESH_S)

    def queue_s(self, lane: str) -> float | None:
        """How long the lane takes for what is due in it, by the last look; None: unknown."""
        if self._known is None:
            return None
        known = self._known.lane(lane)
        return known.eta_s(known.due, known.run_s)

    async def _read(self) -> Look:
        processes = await self._reports.processes()
        rows, paused = await self._depth.rows(), await self._depth.paused()
        workers = [process for process in processes if process.alive and process.role == "work"]
        return Look(tuple(_lane(name, rows, name in paused, workers) for name in LANES), tuple(processes))


def _lane(name: str, rows: Sequence[DepthRow], paused: bool, workers: Sequence[ProcessRow]) -> LaneLook:
    serving: list[dict[str, Any]] = [
        worker.facts.get("lanes", {}).get(name, {}) for worker in workers if name in worker.lanes
    ]

    def total(fact: str) -> float:
        return float(sum(facts.get(fact, 0) for facts in serving))

    runs: defaultdict[str, list[float]] = defaultdict(list)
    for facts in serving:
        for workflow, run_s in facts.get("runs_s", {}).items():
            runs[workflow].append(run_s)
    return LaneLook(
        name,
        tuple(row for row in rows if row.lane == name),
        paused,
        len(serving),
        int(total("slots")),
        int(total("in_use")),
        int(total("ended")),
        total("busy_s"),
        {workflow: sum(found) / len(found) for workflow, found in runs.items()},
    )
