"""How far the reviews are: a live bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from app.domain.clock import SYSTEM_CLOCK

_EVERY_S = 2.0


class Show(Protocol):
    """Takes the counts as they grow: jobs accepted, jobs that have ended, outputs that were read."""

    def __call__(self, submitted: int, ended: int, read: int = 0) -> None: ...


@contextmanager
def progress(console: Console, total: int) -> Iterator[Show]:
    """Shows the counts within the block."""
    if not console.is_terminal:
        yield _Lines(console, total)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("   {task.description:10}"),
        BarColumn(bar_width=40),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bars:
        yield _Bars(bars, [bars.add_task(name, total=total) for name in ("submitted", "ended", "read")])


class _Bars:
    def __init__(self, bars: Progress, tasks: Sequence[TaskID]) -> None:
        self._bars, self._tasks = bars, tasks

    def __call__(self, submitted: int, ended: int, read: int = 0) -> None:
        for task, count in zip(self._tasks, (submitted, ended, read), strict=True):
            self._bars.update(task, completed=count)


class _Lines:
    def __init__(self, console: Console, total: int) -> None:
        self._console, self._total = console, total
        self._next_s = SYSTEM_CLOCK.monotonic() + _EVERY_S

    def __call__(self, submitted: int, ended: int, read: int = 0) -> None:
        now_s = SYSTEM_CLOCK.monotonic()
        if now_s < self._next_s and read < self._total:
            return
        self._next_s = now_s + _EVERY_S
        self._console.print(f"   {submitted:,} submitted, {ended:,} ended, {read:,} read of {self._total:,}")
