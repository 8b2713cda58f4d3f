"""Virtual time: events in order, none of them waited for."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

Act = Callable[..., None]


class Clock:
    """`now` in seconds since the start of the run."""

    def __init__(self) -> None:
        self.now = 0.0
        self._count = 0
        self._events: list[tuple[float, int, Act, tuple[Any, ...]]] = []

    def at(self, when: float, act: Act, *arguments: Any) -> None:
        """Do it then; of one moment in the order in which they were asked for."""
        self._count += 1
        heapq.heappush(self._events, (when, self._count, act, arguments))

    def run(self, until: float) -> None:
        while self._events and self._events[0][0] <= until:
            self.now, _, act, arguments = heapq.heappop(self._events)
            act(*arguments)
        self.now = until
