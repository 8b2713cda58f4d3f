"""What the engine tells the people who run it: where code failed, and which features have no effect yet."""

from __future__ import annotations

import functools

from app.domain.errors import Failure
from app.telemetry.logs import log
from app.telemetry.place import kind_of, place_of, root_of


def note_failure(event: str, error: BaseException, failure: Failure, *, final: bool = False) -> None:
    """Log what failed and where, never the message: it may repeat what the job was given."""
    cause = root_of(error)
    write = log("engine").warning if final else log("engine").info
    write(
        event,
        step=failure.step,
        code=failure.code,
        error_class=failure.error_class.value,
        error=kind_of(cause),
        exception=place_of(cause),
    )


def note_without_effect(features: tuple[str, ...]) -> None:
    """Log one warning for each of these policy fields, the first time that this process meets it."""
    for feature in features:
        _warn_once(feature)


@functools.cache
def _warn_once(feature: str) -> None:
    log("engine").warning("policy field has no effect yet", what=feature)
