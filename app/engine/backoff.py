"""How long to wait before another try: exponential, half of it drawn, never below what the other side asked for."""

from __future__ import annotations

from app.domain import ids

LONGEST_S = 300.0
# A wait up to this long stays in the slot; a longer one parks the job.
SLOT_WAIT_S = 2.0
# While a breaker is open nobody holds a slot: a wait for it is longer than the one above.
DOWN_WAIT_S = 2.5
# A wait that is over before it began still takes this long, so that nothing spins.
SHORTEST_WAIT_S = 0.05
# What the other side may ask for at most: beyond it a header is taken for an error.
LONGEST_FLOOR_S = 7 * 86400.0
# The last try comes so many times the first back-off after the first failure, or later: by then a breaker has opened
# where nobody is answered, and to wait for it uses no try.
LAST_TRY = 5.0
# Whoever waited for longer than his back-off before the call that failed now, since his pool's line was long or slow,
# waits longer than that before the next one, within so many bounds.
_LONGER, _MOST_BOUNDS = 1.25, 4.0
# After a rate limit that names no time.
UNNAMED_LIMIT_S = 60.0


def retry_wait_s(tries: int, base_s: float, retry_after_s: float | None, before_s: float = 0.0) -> float:
    """Seconds after the failed try number `tries` (from 1): the floor plus an even draw from the bound's upper half.

    So no wait is shorter than the one before, until the bound stops growing (docs/decisions/0026); `before_s` is what
    that one has come to.
    """
    bound = bound_s(tries, base_s)
    own_s = max(_drawn_s(bound), min(_LONGER * before_s, _MOST_BOUNDS * bound))
    return _floor_s(retry_after_s or 0.0) + own_s


def limited_wait_s(times: int, retry_after_s: float | None) -> float:
    """Seconds after the rate limit met for the `times`-th time in a row (from 1); its spread grows, so none spins."""
    floor = UNNAMED_LIMIT_S if retry_after_s is None else _floor_s(retry_after_s)
    return floor + _drawn_s(bound_s(times, 0.25))


def bound_s(tries: int, base_s: float) -> float:
    """The most that jitter adds after that many tries."""
    return float(min(LONGEST_S, base_s * 2.0 ** min(tries - 1, 60)))


def _drawn_s(bound: float) -> float:
    return ids.jitter(bound / 2, bound)


def _floor_s(retry_after_s: float) -> float:
    return min(LONGEST_FLOOR_S, max(0.0, retry_after_s))
