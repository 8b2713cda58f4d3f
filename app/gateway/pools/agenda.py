"""When the next turn of a line is due: moved forward by news, never back."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress

from app.domain.clock import Clock


class Agenda:
    """One moment, and somebody who sleeps until it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due_s = math.inf
        self._moved = asyncio.Event()

    def hasten(self, in_s: float) -> None:
        """Something is to be done in so many seconds at the latest."""
        due_s = self._clock.monotonic() + in_s
        if due_s < self._due_s:
            self._due_s = due_s
            self._moved.set()

    async def due(self) -> None:
        """Sleeps until the moment has come, and forgets it."""
        while (left_s := self._due_s - self._clock.monotonic()) > 0:
            self._moved.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(left_s if left_s < math.inf else None):
                    await self._moved.wait()
        self._due_s = math.inf
