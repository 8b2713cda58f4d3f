"""When a webhook is tried again."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain import ids

# A receiver may ask for patience, but not for years.
MAX_RETRY_AFTER_S = 86_400.0
_EXACT = 2
_SPREAD = 0.1


def next_delay_s(schedule_s: Sequence[float], attempts: int, retry_after_s: float | None) -> float | None:
    """Seconds from now to the next attempt after `attempts` failed ones; None: that was the last.

    The first two entries of the schedule are exact, later ones are spread by 10 % either way, so that what failed
    together does not come back together. `Retry-After` is a floor, up to a day.
    """
    if attempts >= len(schedule_s):
        return None
    delay_s = schedule_s[attempts]
    if attempts >= _EXACT:
        delay_s *= ids.jitter(1 - _SPREAD, 1 + _SPREAD)
    return max(delay_s, min(retry_after_s or 0.0, MAX_RETRY_AFTER_S))
