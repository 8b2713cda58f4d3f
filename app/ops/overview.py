"""The whole service at a glance: each lane's work, slots and pace, and the processes; from what all have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from app.domain.clock import Clock
from app.settings import LANES
from app.store.depth import Depth, DepthRow
from app.store.reports import ProcessRow, Reports

# Counting takes at most this part of the time: what took 100 ms is not done again for 2 s.
_DUTY = 1 / 20
_MINUTE_S = 60.0


@dataclass(frozen=True, slots=True)
class LaneLook:
    """One lane. `slots`, `in_use`, `ended` (last minute) and `busy_s` (what those took) are sums over live workers."""

    name: str
    rows: tuple[DepthRow, ...]
    paused: bool
    workers: int
    slots: int
    in_use: int
    ended: int
    busy_s: float

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

    async def _read(self) -> Look:
        processes = await self._reports.processes()
        rows, paused = await self._depth.rows(), await self._depth.paused()
        workers = [process for process in processes if process.alive and process.role == "work"]
        return Look(tuple(_lane(name, rows, name in paused, workers) for name in LANES), tuple(processes))


def _lane(name: str, rows: Sequence[DepthRow], paused: bool, workers: Sequence[ProcessRow]) -> LaneLook:
    serving: list[dict[str, float]] = [
        worker.facts.get("lanes", {}).get(name, {}) for worker in workers if name in worker.lanes
    ]

    def total(fact: str) -> float:
        return sum(facts.get(fact, 0) for facts in serving)

    return LaneLook(
        name,
        tuple(row for row in rows if row.lane == name),
        paused,
        len(serving),
        int(total("slots")),
        int(total("in_use")),
        int(total("ended")),
        total("busy_s"),
    )
