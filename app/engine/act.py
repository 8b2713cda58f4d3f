"""Runs an author's function as one try: async in the loop, sync in a thread, within its timeout."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from app.domain.errors import TransientError

# Threads start as they are needed; the loop's own small pool stays free for name look-ups.
_THREADS = ThreadPoolExecutor(max_workers=64, thread_name_prefix="laneway-step")


def is_async(fn: Callable[..., Any]) -> bool:
    """Whether calling it gives a coroutine."""
    return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(getattr(fn, "__call__", None))  # noqa: B004


async def run_function(fn: Callable[..., Any], args: tuple[Any, ...], timeout_s: float | None) -> Any:
    """The function's result. Raises what it raises, TransientError when `timeout_s` passes.

    A thread can't be stopped: after a timeout a sync function goes on in its thread, and its result is dropped.
    """
    scope = asyncio.timeout(timeout_s)
    try:
        async with scope:
            result = await (fn(*args) if is_async(fn) else _in_thread(fn, args))
            return await result if inspect.isawaitable(result) else result
    except TimeoutError:
        if scope.expired():
            raise TransientError(f"no result within {timeout_s:g} s") from None
        raise


def _in_thread(fn: Callable[..., Any], args: tuple[Any, ...]) -> Awaitable[Any]:
    context = contextvars.copy_context()
    return asyncio.get_running_loop().run_in_executor(_THREADS, context.run, _without_stop_iteration, fn, args)


def _without_stop_iteration(fn: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """A future can't carry StopIteration: whoever awaits it would wait for ever."""
    try:
        return fn(*args)
    except StopIteration as error:
        raise RuntimeError("StopIteration left the function") from error
