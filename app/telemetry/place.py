"""An error as logs may tell it: its type, and where it arose; never its message, which may carry a prompt or a key."""

from __future__ import annotations

import os
from asyncio import CancelledError
from collections.abc import Iterator
from types import TracebackType

_FRAMES = 8


def kind_of(error: BaseException) -> str:
    """The error's type; for one of the operating system also what its number means."""
    name = type(error).__name__
    if isinstance(error, OSError) and isinstance(error.errno, int):
        return f"{name}: {os.strerror(error.errno)}"
    return name


def place_of(error: BaseException) -> str:
    """File and line of the last calls, the innermost first; empty for an error that was never raised."""
    return " < ".join(reversed(list(_frames(error.__traceback__))[-_FRAMES:]))


def root_of(error: BaseException) -> BaseException:
    """The error at the bottom of a chain of `raise ... from ...`.

    `asyncio.timeout` raises its TimeoutError from the cancellation that it used: that one is no cause.
    """
    seen = {id(error)}
    while (cause := error.__cause__) is not None and id(cause) not in seen and not isinstance(cause, CancelledError):
        error = cause
        seen.add(id(error))
    return error


def _frames(trace: TracebackType | None) -> Iterator[str]:
    while trace is not None:
        file = "/".join(trace.tb_frame.f_code.co_filename.rsplit("/", 2)[-2:])
        yield f"{file}:{trace.tb_lineno}"
        trace = trace.tb_next
