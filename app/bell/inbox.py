"""What a watcher of a job has yet to take: its moves and deltas in the order they came, of a bounded size."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import Any

# Who is this many bytes behind gets no more deltas until he has taken what there is.
MOST_BYTES = 1_000_000
MOVED = "moved"

Note = tuple[str, Any]
"""Its kind and JSON data: `delta`, `piece` or `reset`; or `moved`, and whether the job may have ended."""


class Inbox:
    """Filled by the bell, emptied by one watcher."""

    def __init__(self) -> None:
        self._notes: deque[Note] = deque()
        self._bytes = 0
        self._arrived = asyncio.Event()

    def delta(self, note: Note, size: int) -> None:
        """Put in a delta of so many bytes; dropped where there is no room."""
        if self._bytes + size <= MOST_BYTES:
            self._bytes += size
            self._put(note)

    def moved(self, ended: bool) -> None:
        """Note that the job moved; moves with nothing between them are one."""
        if self._notes and self._notes[-1][0] == MOVED:
            ended = self._notes.pop()[1] or ended
        self._put((MOVED, ended))

    async def take(self, timeout_s: float) -> list[Note]:
        """Everything there is, at the latest after that time; then it may be nothing."""
        if not self._notes and timeout_s > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._arrived.wait()
        notes = list(self._notes)
        self._notes.clear()
        self._bytes = 0
        self._arrived.clear()
        return notes

    def _put(self, note: Note) -> None:
        self._notes.append(note)
        self._arrived.set()
