"""Durations as people write them: `30s`, `5m`, `2h`, `30d`."""

from __future__ import annotations

import re

_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PATTERN = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h|d)", re.ASCII)


def seconds(text: str | float | int) -> float:
    """Seconds of a duration; a bare number is taken as seconds. Raises ValueError that names the rule."""
    if isinstance(text, int | float) and not isinstance(text, bool):
        return float(text)
    found = _PATTERN.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError(f"{text!r} is not a duration: write a number and ms, s, m, h or d, for instance 30s")
    return float(found[1]) * _UNIT_S[found[2]]
