"""Classifies what ended a try, and raises a recorded failure again as it was."""

from __future__ import annotations

import asyncio
import errno
from dataclasses import replace

from app.domain.errors import (
    ErrorClass,
    Failure,
    Fault,
    InputError,
    ProcessingError,
    ProviderAuth,
    RateLimited,
    SystemFault,
    TransientError,
    failure_of,
)

_EXHAUSTED = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
_CLASSES: dict[ErrorClass, type[Fault]] = {
    ErrorClass.TRANSIENT: TransientError,
    ErrorClass.INPUT: InputError,
    ErrorClass.PROCESSING: ProcessingError,
    ErrorClass.SYSTEM: SystemFault,
}
_BY_CODE: dict[str, type[Fault]] = {"provider_rate_limited": RateLimited, "provider_auth": ProviderAuth}


def fault_of(error: BaseException) -> Fault:
    """The Fault that stands for anything author code raised; what is none of the known is a bug (`workflow_error`)."""
    if isinstance(error, Fault):
        return error
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _EXHAUSTED):
        return SystemFault(_described(error))
    if isinstance(error, OSError):
        return TransientError(_described(error))
    return ProcessingError(_described(error))


def failure_from(error: BaseException, step: str | None = None) -> Failure:
    """The failure of anything that ended a try, its text safe for any store: no NUL, no lone surrogate."""
    if not isinstance(error, Fault):
        where = getattr(error, "laneway_step", None) or step
        return Failure(ErrorClass.PROCESSING, "workflow_error", _described(error), where)
    found = failure_of(error, step)
    return replace(found, code=storable(found.code)[:100], detail=storable(found.detail))


def revived(failure: Failure) -> Fault:
    """The exception of a recorded failure: the same class, code and detail, in every run."""
    kind = _BY_CODE.get(failure.code)
    if kind is None or kind.error_class is not failure.error_class:
        kind = _CLASSES[failure.error_class]
    return at_step(kind(failure.detail, code=failure.code), failure.step)


def at_step(fault: Fault, step: str | None) -> Fault:
    """The fault, marked with the step where it arose."""
    fault.laneway_step = step  # type: ignore[attr-defined]
    return fault


def raise_if_canceled(error: asyncio.CancelledError) -> None:
    """Raise it when somebody cancels this task; author code that raises it on its own is only wrong."""
    task = asyncio.current_task()
    if task is None or task.cancelling():
        raise error


def storable(text: str) -> str:
    """The text with NUL and lone surrogates spelled out, which SQL text refuses."""
    return text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()


def _described(error: BaseException) -> str:
    try:
        text = f"{type(error).__name__}: {error}"
    except Exception:  # an author's own __str__ may fail
        text = type(error).__name__
    return storable(text[:2000])
