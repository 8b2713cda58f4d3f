"""How providers count: a bucket that refills, a counter that resets with the minute, a log of the last minute."""

from __future__ import annotations

from collections import deque


class Bucket:
    """`rate` a second, up to `depth`; full at the start."""

    def __init__(self, rate: float, depth: float) -> None:
        self.rate, self.depth, self.level = rate, depth, depth
        self._at = 0.0

    def sync(self, now: float) -> float:
        """The level at `now`."""
        self.level = min(self.depth, self.level + max(0.0, now - self._at) * self.rate)
        self._at = max(self._at, now)
        return self.level

    def wait_s(self, now: float, cost: float) -> float:
        lack = cost - self.sync(now)
        return lack / self.rate if lack > 1e-6 else 0.0

    def take(self, now: float, cost: float) -> None:
        self.level -= cost

    def give_back(self, now: float, cost: float) -> None:
        self.level = min(self.depth, self.sync(now) + cost)

    def waste(self, cost: float) -> None:
        """A rejected call that counts all the same, within bounds."""
        self.level = max(-0.1 * self.depth, self.level - cost)

    def change(self, now: float, rate: float, depth: float) -> None:
        self.sync(now)
        self.rate, self.depth, self.level = rate, depth, min(self.level, depth)


class FixedMinute(Bucket):
    """Full again at each minute of the clock."""

    def __init__(self, per_minute: float) -> None:
        super().__init__(per_minute / 60, per_minute)
        self._minute = 0

    def sync(self, now: float) -> float:
        if int(now // 60) != self._minute:
            self._minute, self.level = int(now // 60), self.depth
        return self.level

    def wait_s(self, now: float, cost: float) -> float:
        return 0.0 if self.sync(now) >= cost - 1e-6 else (self._minute + 1) * 60 - now


class SlidingMinute(Bucket):
    """Exactly so many over the last 60 s, whenever one looks."""

    def __init__(self, per_minute: float) -> None:
        super().__init__(per_minute / 60, per_minute)
        self._log: deque[tuple[float, float]] = deque()

    def sync(self, now: float) -> float:
        while self._log and self._log[0][0] <= now - 60:
            self.level += self._log.popleft()[1]
        return self.level

    def take(self, now: float, cost: float) -> None:
        self._log.append((now, cost))
        self.level -= cost

    def wait_s(self, now: float, cost: float) -> float:
        lack = cost - self.sync(now)
        for when, taken in self._log:
            if lack <= 1e-6:
                return 0.0
            lack -= taken
            if lack <= 1e-6:
                return when + 60 - now + 1e-6
        return 0.0
