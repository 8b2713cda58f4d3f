"""Keeps one child running: starts it again, with back-off, after any end that nobody asked for."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from app.supervise.backoff import Backoff
from app.supervise.children import Program
from app.supervise.errors import CannotStart, StillRunning
from app.supervise.plan import Say
from app.supervise.watch import Child, Watch


@dataclass(frozen=True, slots=True)
class Ended:
    """An end that nobody asked for. `code` below 0 is the signal; `nth` counts this keeper's starts from 1."""

    child: Child
    code: int
    lived_s: float
    nth: int

    @property
    def how(self) -> str:
        return f"killed by {signal.Signals(-self.code).name}" if self.code < 0 else f"exit code {self.code}"


class OnEnd(Protocol):
    """Hears of each unrequested end before the child is started again."""

    def __call__(self, ended: Ended) -> None: ...


class OnStart(Protocol):
    """Hears of each start."""

    def __call__(self, child: Child) -> None: ...


class Keeper:
    """`begin` makes ready and names what to run, at every start anew."""

    def __init__(self, begin: Callable[[], Program], watch: Watch, say: Say, on_start: OnStart, on_end: OnEnd) -> None:
        self._begin, self._watch, self._say = begin, watch, say
        self._on_start, self._on_end = on_start, on_end
        self._backoff = Backoff()
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._starts = 0
        self.child: Child | None = None

    def start(self) -> None:
        """Start the child now, and again whenever it ends, until `stop`. Raises what `begin` raises the first time."""
        self._start_child()
        self._task = asyncio.create_task(self._keep())

    async def stop(self, timeout_s: float, hurry: asyncio.Event) -> bool:
        """Ask the child to end; kill it after the time or when `hurry` is set. Whether it had to be killed."""
        self._stopping.set()
        if self._task is None or self.child is None:
            return False
        self.child.send(self.child.program.stop_signal)
        killed = not await _within(self._task, timeout_s, hurry)
        if killed:
            self.child.send(signal.SIGKILL)
            await self._task
        return killed

    async def _keep(self) -> None:
        while self.child is not None:
            child = self.child
            code = await child.ended()
            if self._stopping.is_set():
                return
            self._on_end(Ended(child, code, child.lived_s, self._starts))
            await self._restart(self._backoff.after(child.lived_s))

    async def _restart(self, pause_s: float) -> None:
        while not await _set_within(self._stopping, pause_s):
            try:
                return self._start_child()
            except (CannotStart, StillRunning, OSError) as error:
                self._say(f"cannot start again: {error}")
                pause_s = self._backoff.after(0)

    def _start_child(self) -> None:
        self.child = self._watch.start(self._begin())
        self._starts += 1
        self._on_start(self.child)


async def _set_within(event: asyncio.Event, timeout_s: float) -> bool:
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return False
    return True


async def _within(task: asyncio.Task[None], timeout_s: float, hurry: asyncio.Event) -> bool:
    """Whether the task ended before the time and before `hurry`."""
    hurried = asyncio.create_task(hurry.wait())
    await asyncio.wait({task, hurried}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    hurried.cancel()
    return task.done()
