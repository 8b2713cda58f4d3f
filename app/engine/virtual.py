"""A clock under control: waits pass at once, and time stands where the last one ended."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta


class VirtualClock:
    """Starts at `at` (aware UTC) and moves only by sleeping and by `move_to`."""

    def __init__(self, at: datetime) -> None:
        self._start = at
        self._now = at

    def now(self) -> datetime:
        """The time."""
        return self._now

    def monotonic(self) -> float:
        """Seconds since the start."""
        return (self._now - self._start).total_seconds()

    async def sleep(self, seconds: float) -> None:
        """Wait in no time; sleeps at once overlap, as real ones do."""
        wake = self._now + timedelta(seconds=seconds)
        await asyncio.sleep(0)
        self.move_to(wake)

    def move_to(self, moment: datetime) -> None:
        """Go on to that moment, never back."""
        self._now = max(self._now, moment)
