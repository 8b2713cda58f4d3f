"""When a provider says to come back: the headers that name a time, read as seconds from now."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

_SPAN = re.compile(
    r"^(?:(\d{1,6})h)?(?:(\d{1,6})m(?!s))?(?:(\d{1,9}(?:\.\d{1,9})?)s)?(?:(\d{1,9}(?:\.\d{1,9})?)ms)?$", re.ASCII
)
_NUMBER = re.compile(r"^\d{1,12}(?:\.\d{1,9})?$", re.ASCII)
_DIMENSIONS = ("requests", "tokens")
_ANTHROPIC = tuple(f"anthropic-ratelimit-{name}-" for name in ("requests", "tokens", "input-tokens", "output-tokens"))


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds of `retry-after-ms` or `retry-after` (seconds or a date); None when absent, negative or unreadable."""
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after", "")
    seconds = _number(text)
    return seconds if seconds is not None else _until_date(text, headers.get("date", ""), now)


def limit_reset_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds until the limit that is used up is free again, by `x-ratelimit-*` (spans) or `anthropic-ratelimit-*`
    (times); None when they don't tell.
    """
    left = {name: headers.get(f"x-ratelimit-remaining-{name}") for name in _DIMENSIONS}
    resets = {name: span_s(headers.get(f"x-ratelimit-reset-{name}", "")) for name in _DIMENSIONS}
    left |= {name: headers.get(f"{name}remaining") for name in _ANTHROPIC}
    resets |= {name: until_time_s(headers.get(f"{name}reset", ""), headers, now) for name in _ANTHROPIC}
    known = {name: reset for name, reset in resets.items() if reset is not None}
    used_up = [reset for name, reset in known.items() if left[name] == "0"]
    # Nothing at zero: this call was larger than what is left of one of them; the nearest reset is a fair guess.
    return max(used_up) if used_up else min(known.values(), default=None)


def span_s(text: str) -> float | None:
    """Seconds of `1s`, `6m0s`, `250ms`, `1h2m3s` or a bare number; None for anything else."""
    text = text.strip()
    if (plain := _number(text)) is not None:
        return plain
    found = _SPAN.match(text) if text else None
    if found is None:
        return None
    hours, minutes, seconds, milliseconds = (float(part or 0) for part in found.groups())
    return hours * 3600 + minutes * 60 + seconds + milliseconds / 1000


def _number(text: str) -> float | None:
    text = text.strip()
    return float(text) if _NUMBER.match(text) else None


def _until_date(text: str, sent: str, now: datetime) -> float | None:
    """Measured from the answer's own `Date` where it has one, so that two clocks need not agree."""
    until = _date(text)
    if until is None:
        return None
    return max(0.0, (until - (_date(sent) or now)).total_seconds())


def until_time_s(text: str, headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds until an RFC 3339 time, measured from the answer's own `Date`; None for anything else."""
    try:
        until = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    if until.tzinfo is None:
        return None
    return max(0.0, (until - (_date(headers.get("date", "")) or now)).total_seconds())


def _date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo is not None else None
