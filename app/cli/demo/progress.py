"""How far the reviews are: a live bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from app.domain.clock import SYSTEM_CLOCK

_EVERY_S = 2.0


class Show(Protocol):
    """Takes the counts as they grow."""

    def __call__(self, submitted: int, ended: int) -> None: ...


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
        yield _Bars(bars, bars.add_task("submitted", total=total), bars.add_task("ended", total=total))


class _Bars:
    def __init__(self, bars: Progress, submitted: TaskID, ended: TaskID) -> None:
        self._bars, self._submitted, self._ended = bars, submitted, ended

    def __call__(self, submitted: int, ended: int) -> None:
        self._bars.update(self._submitted, completed=submitted)
        self._bars.update(self._ended, completed=ended)


class _Lines:
    def __init__(self, console: Console, total: int) -> None:
        self._console, self._total = console, total
        self._next_s = SYSTEM_CLOCK.monotonic() + _EVERY_S

    def __call__(self, submitted: int, ended: int) -> None:
        now_s = SYSTEM_CLOCK.monotonic()
        if now_s < self._next_s and ended < self._total:
            return
        self._next_s = now_s + _EVERY_S
        self._console.print(f"   {submitted:,} submitted, {ended:,} ended of {self._total:,}", highlight=False)
