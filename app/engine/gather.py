"""Branches at once: waits for all of them, then gives their results, the first error, or one suspension."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any

from app.domain.errors import ProcessingError
from app.engine.fault import raise_if_canceled
from app.engine.suspension import Suspension, Suspensions


@dataclass(frozen=True, slots=True)
class _End:
    """How one branch ended."""

    value: Any = None
    error: BaseException | None = None


async def gather(suspensions: Suspensions, awaitables: Sequence[Awaitable[Any]]) -> tuple[Any, ...]:
    """The results in order. Raises Suspension when a branch must wait, else the first error by order."""
    _check(awaitables)
    tasks = [asyncio.ensure_future(_branch(awaitable)) for awaitable in awaitables]
    ends = await _all(tasks) if tasks else []
    waiting = [end.error for end in ends if isinstance(end.error, Suspension)]
    if waiting:
        suspensions.throw_merged(waiting)
    for end in ends:
        if end.error is not None:
            raise end.error
    return tuple(end.value for end in ends)


async def _branch(awaitable: Awaitable[Any]) -> _End:
    try:
        return _End(value=await awaitable)
    except asyncio.CancelledError as error:
        raise_if_canceled(error)
        return _End(error=ProcessingError("a branch of ctx.gather canceled itself"))
    except (Exception, Suspension) as error:
        return _End(error=error)
    except SystemExit as error:
        return _End(error=ProcessingError(f"SystemExit: {error}"))


async def _all(tasks: list[asyncio.Task[_End]]) -> list[_End]:
    """Every branch's end. What unwinds the run (a lost job, a cancel) stops all branches and goes on up."""
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
        return [task.result() for task in tasks]
    finally:
        await _stop(tasks)


async def _stop(tasks: list[asyncio.Task[_End]]) -> None:
    running = [task for task in tasks if task.cancel()]
    if running:
        await asyncio.wait(running)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # seen, so that nothing is logged about it later


def _check(awaitables: Sequence[Any]) -> None:
    wrong = [one for one in awaitables if not inspect.isawaitable(one)]
    if not wrong:
        return
    for one in awaitables:
        if inspect.iscoroutine(one):
            one.close()
    raise ProcessingError(f"ctx.gather takes awaitables, for instance ctx.step(...), not {type(wrong[0]).__name__}")
