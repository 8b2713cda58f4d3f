"""What a run has going beside its function: the streams it listens to."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from app.engine.suspension import Suspension, Suspensions

T = TypeVar("T")


class Background:
    """Tasks that end with the run at the latest."""

    def __init__(self, suspensions: Suspensions) -> None:
        self._suspensions = suspensions
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        return task

    async def finish(self) -> None:
        """Let them come to their ends: before a park, so that nothing that was paid for is thrown away."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def stop(self) -> None:
        """Cancel what still goes on, and wait until it has ended. How left ones ended is nobody's matter."""
        running = [task for task in self._tasks if task.cancel()]
        if running:
            await asyncio.wait(running)
        for task in self._tasks:
            error = None if task.cancelled() else task.exception()
            if isinstance(error, Suspension):
                self._suspensions.forget(error)
        self._tasks.clear()
