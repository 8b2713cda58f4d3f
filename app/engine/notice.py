"""Warns once for each feature that is accepted and has no effect yet."""

from __future__ import annotations

import functools

from app.telemetry.logs import log


def note_without_effect(features: tuple[str, ...]) -> None:
    """Log one warning for each of these policy fields, the first time that this process meets it."""
    for feature in features:
        _warn_once(feature)


@functools.cache
def _warn_once(feature: str) -> None:
    log("engine").warning("policy field has no effect yet", what=feature)
