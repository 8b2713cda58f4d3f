"""Durations as people write them, `30s`, `5m`, `2h`, `30d`, and as people read them."""

from __future__ import annotations

import re

_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_READ = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_PATTERN = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h|d)", re.ASCII)


def seconds(text: str | float | int) -> float:
    """Seconds of a duration; a bare number is taken as seconds. Raises ValueError that names the rule."""
    if isinstance(text, int | float) and not isinstance(text, bool):
        return float(text)
    found = _PATTERN.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError(f"{text!r} is not a duration: write a number and ms, s, m, h or d, for instance 30s")
    return float(found[1]) * _UNIT_S[found[2]]


def shown(seconds: float) -> str:
    """For people, in its two largest units: `12 s`, `2 h 5 min`; less than ten seconds with a tenth."""
    if 0 < seconds < 9.95:
        return f"{max(0.1, seconds):.1f} s".replace(".0 s", " s")
    left, parts = max(0, round(seconds)), []
    for size, unit in _READ:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"
