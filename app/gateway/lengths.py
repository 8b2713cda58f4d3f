"""What a route's answers are long: the tokens that a call may be expected to use before it is made."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Sequence

# Tokens of an answer where nothing is known yet and the caller names no bound.
UNKNOWN_TOKENS = 1024
# Answers that are remembered of a route, and how many are enough to judge by.
_KEPT = 200
_ENOUGH = 10
_MOST_ROUTES = 10_000
Route = tuple[str, ...]


class _Seen:
    """The last answers' lengths, in their order and sorted."""

    __slots__ = ("_order", "_sorted")

    def __init__(self) -> None:
        self._order: deque[int] = deque()
        self._sorted: list[int] = []

    def add(self, tokens: int) -> None:
        self._order.append(tokens)
        insort(self._sorted, tokens)
        if len(self._order) > _KEPT:
            del self._sorted[bisect_left(self._sorted, self._order.popleft())]

    def last(self, most: int) -> list[int]:
        return list(self._order)[-most:]

    @property
    def p95(self) -> int | None:
        count = len(self._sorted)
        return self._sorted[min(count - 1, count * 95 // 100)] if count >= _ENOUGH else None


class Lengths:
    """Learned in this process: each one sees enough calls of what it runs. `LengthShelf` keeps them over its end."""

    def __init__(self) -> None:
        self._seen: dict[Route, _Seen] = {}
        self._changed: set[Route] = set()

    def expected(self, route: Route, most: int | None) -> int:
        """The 95th percentile of the route's last 200 answers in tokens, never above `most`."""
        seen = self._seen.get(route)
        known = seen.p95 if seen else None
        tokens = UNKNOWN_TOKENS if known is None else known
        return tokens if most is None else min(tokens, most)

    def learn(self, route: Route, tokens: int) -> None:
        """A whole answer of the route had so many tokens."""
        seen = self._seen.get(route)
        if seen is None:
            if len(self._seen) >= _MOST_ROUTES:
                self._seen.clear()
            seen = self._seen[route] = _Seen()
        seen.add(tokens)
        self._changed.add(route)

    def changed(self, most: int) -> dict[Route, list[int]]:
        """The last lengths, at most so many, of each route that has learned since this was asked before."""
        routes, self._changed = self._changed, set()
        return {route: self._seen[route].last(most) for route in routes if route in self._seen}

    def remember(self, route: Route, tokens: Sequence[int]) -> None:
        """What another process had learned; where this one has learned by itself, that counts."""
        if route in self._seen or len(self._seen) >= _MOST_ROUTES:
            return
        seen = self._seen[route] = _Seen()
        for one in tokens:
            seen.add(one)
