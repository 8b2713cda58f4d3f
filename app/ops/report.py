"""The report of this process: every two seconds it says what it did and does, for whoever asks an API."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from app.domain.clock import Clock
from app.ops.configfile import ConfigFile
from app.store.database import StoreAway
from app.store.reports import Reports
from app.telemetry.logs import log
from app.telemetry.metrics import Metrics

_INTERVAL_S = 2.0
_FORGET_S = 60.0
Running = Callable[[], Mapping[str, Any]]
"""What a worker's jobs are doing, by job id in hexadecimal digits."""


class Report:
    """Writes metrics and facts to the store; nothing waits for it, and a store that is away costs a report."""

    def __init__(
        self, reports: Reports, metrics: Metrics, process_id: UUID, clock: Clock, *, role: str, lanes: Sequence[str],
        file: ConfigFile,
    ) -> None:  # fmt: skip
        self._reports = reports
        self._metrics = metrics
        self._process_id = process_id
        self._clock = clock
        self._lanes = lanes
        self._labels = {"role": role, "process": f"{socket.gethostname()}:{os.getpid()}"}
        self._file = file
        self._running: Running = dict
        self._forgot_at = float("-inf")

    def tell(self, running: Running) -> None:
        """Say this too, from now on."""
        self._running = running

    def text(self) -> bytes:
        """The process's metrics now, as Prometheus reads them."""
        return self._metrics.text(self._labels)

    async def run(self) -> None:
        """Report until canceled."""
        while True:
            await self.once()
            await self._clock.sleep(_INTERVAL_S)

    async def once(self) -> None:
        """One report."""
        try:
            await self._reports.write(self._process_id, self.text(), self._facts())
            if self._clock.monotonic() - self._forgot_at > _FORGET_S:
                self._forgot_at = self._clock.monotonic()
                await self._reports.forget_old()
        except StoreAway as error:
            log("report").warning("report failed", error=str(error))

    def _facts(self) -> dict[str, Any]:
        return {
            "lanes": {lane: self._lane(lane) for lane in self._lanes},
            "running": dict(self._running()),
            "refused": self._metrics.refused(),
            "configuration": self._file.refusal,
            "taken_away": self._file.loss,
            "restart": list(self._file.kept),
        }

    def _lane(self, lane: str) -> dict[str, Any]:
        ended, busy_s = self._metrics.last_minute.of(lane)
        slots, in_use = self._metrics.slots.value(lane), self._metrics.slots_in_use.value(lane)
        runs_s = self._metrics.runs_s(lane)
        return {"slots": slots, "in_use": in_use, "ended": ended, "busy_s": busy_s, "runs_s": runs_s}
