"""A breaker while Redis is away: what this process saw alone, by the thresholds of `breaker.lua`."""

from __future__ import annotations

from collections import deque

from app.gateway.pools.ending import Ending

# As in breaker.lua.
_WINDOW_S, _LEAST, _IN_A_ROW = 30.0, 20, 10
# Every process probes for itself, so an interval grows fast: some twenty probes of each in five minutes. No ramp: it is
# one process, with its part of what was known.
_SHORTEST_S, _LONGEST_S = 1.0, 15.0


# No hand moves one that is forced before Redis is back; then whoever waits is woken.
_FORCED_S = 60.0


class LocalBreaker:
    """Counts outcomes of this process. Times: monotonic s.

    `opened`: whether it was open when Redis was last heard. What was `forced` by hand stays as it was.
    """

    def __init__(self, opened: bool, now_s: float, *, forced: bool = False) -> None:
        self.opened = opened
        self._forced = forced
        self._probe_at_s = now_s
        self._interval_s = _SHORTEST_S
        self._outcomes: deque[tuple[float, bool]] = deque()
        self._refused = 0

    def wait_s(self, now_s: float) -> float:
        """0 lets a call go, as the probe where it is open; else how long to wait."""
        if not self.opened:
            return 0.0
        if self._forced:
            return _FORCED_S
        if now_s < self._probe_at_s:
            return self.probe_in_s(now_s)
        self._probe_at_s = now_s + self._interval_s
        self._interval_s = min(_LONGEST_S, 2 * self._interval_s)
        return 0.0

    def probe_in_s(self, now_s: float) -> float:
        """Until the next probe of one that is open."""
        return _FORCED_S if self._forced else max(0.0, self._probe_at_s - now_s)

    def tell(self, now_s: float, probe: bool, ending: Ending) -> None:
        """A call ended; `probe`: it was let go while this was open."""
        if self._forced:
            return
        failed = ending in (Ending.FAILED, Ending.REFUSED)
        if self.opened:
            self.opened = failed or not probe
            return
        if probe and failed:
            return
        self._refused = self._refused + 1 if ending is Ending.REFUSED else 0
        if ending is Ending.OTHER:
            return
        self._outcomes.append((now_s, failed))
        while self._outcomes[0][0] <= now_s - _WINDOW_S:
            self._outcomes.popleft()
        bad = sum(failed for _, failed in self._outcomes)
        if self._refused >= _IN_A_ROW or (len(self._outcomes) >= _LEAST and 2 * bad >= len(self._outcomes)):
            self._open(now_s)

    def _open(self, now_s: float) -> None:
        self.opened = True
        self._interval_s = _SHORTEST_S
        self._probe_at_s = now_s + self._interval_s
        self._outcomes.clear()
        self._refused = 0
