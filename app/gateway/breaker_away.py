"""The breaker of a dependency while Redis is away: what this process saw alone, by the same thresholds."""

from __future__ import annotations

from collections import deque

# As in breaker.lua.
_WINDOW_S, _LEAST, _IN_A_ROW = 30.0, 20, 10
# One probe of this process in so many seconds; without a ramp: it is one process, and nobody knows of the others.
PROBE_S = 5.0


class LocalBreaker:
    """Counts outcomes of this process. `opened`: whether it was open when Redis was last heard."""

    def __init__(self, opened: bool, now_s: float) -> None:
        self.opened = opened
        self._probe_at_s = now_s
        self._outcomes: deque[tuple[float, bool]] = deque()
        self._refused = 0

    def wait_s(self, now_s: float) -> float:
        """0 lets a call go, as a probe where it is open; else how long to wait."""
        if not self.opened:
            return 0.0
        if now_s < self._probe_at_s:
            return self._probe_at_s - now_s
        self._probe_at_s = now_s + PROBE_S
        return 0.0

    def tell(self, now_s: float, probe: bool, failed: bool, refused: bool) -> None:
        """A call ended."""
        if self.opened:
            self.opened = failed or not probe
            return
        self._refused = self._refused + 1 if refused else 0
        self._outcomes.append((now_s, failed))
        while self._outcomes[0][0] <= now_s - _WINDOW_S:
            self._outcomes.popleft()
        bad = sum(failed for _, failed in self._outcomes)
        if self._refused >= _IN_A_ROW or (len(self._outcomes) >= _LEAST and 2 * bad >= len(self._outcomes)):
            self.opened = True
            self._probe_at_s = now_s + PROBE_S
            self._outcomes.clear()
            self._refused = 0
