"""Rate limits as providers keep them: requests and tokens a minute by bucket or counter, and calls in flight."""

from dataclasses import dataclass
from typing import Literal, Protocol

WindowKind = Literal["refill", "minute"]
Dimension = Literal["requests", "tokens", "concurrency"]


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits in force; None is no limit. `burst_s` is a bucket's size in seconds of its refill."""

    rpm: int | None = None
    tpm: int | None = None
    max_in_flight: int | None = None
    window: WindowKind = "refill"
    burst_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Standing:
    """How one limit stands: what it allows a minute, what is left now, seconds until it is full again."""

    dimension: Dimension
    limit: int
    remaining: int
    reset_s: float


@dataclass(frozen=True, slots=True)
class Denial:
    """A call over a limit: which one, its size, and the seconds until such a call would pass."""

    dimension: Dimension
    limit: int
    wait_s: float


@dataclass(frozen=True, slots=True)
class Hold:
    """A call that was let in, the tokens charged for it until it settles, and how many are in flight with it."""

    tokens: int
    in_flight: int = 1


class Window(Protocol):
    """Counts cost against a limit a minute. All times are seconds of one monotonic clock."""

    def wait_s(self, limits: Limits, per_minute: int, cost: int, now: float) -> float:
        """Seconds until this cost fits; 0 when it fits now."""
        ...

    def spend(self, cost: int) -> None:
        """Takes the cost; a negative cost gives it back."""
        ...

    def left(self, limits: Limits, per_minute: int, now: float) -> tuple[float, float]:
        """What is left now, and the seconds until all of it is there again."""
        ...


class RefillWindow:
    """A token bucket that refills all the time. A cost above its size passes when it is full, and leaves a debt."""

    def __init__(self) -> None:
        self._level: float | None = None
        self._at = 0.0

    def wait_s(self, limits: Limits, per_minute: int, cost: int, now: float) -> float:
        size, level = self._sync(limits, per_minute, now)
        missing = min(cost, size) - level
        return 0.0 if missing <= 1e-9 else missing * 60 / per_minute

    def spend(self, cost: int) -> None:
        if self._level is not None:
            self._level -= cost

    def left(self, limits: Limits, per_minute: int, now: float) -> tuple[float, float]:
        size, level = self._sync(limits, per_minute, now)
        return level, (size - level) * 60 / per_minute

    def _sync(self, limits: Limits, per_minute: int, now: float) -> tuple[float, float]:
        size = max(1.0, per_minute / 60 * limits.burst_s)
        before = size if self._level is None else self._level
        self._level = min(size, before + (now - self._at) * per_minute / 60)
        self._at = now
        return size, self._level


class MinuteWindow:
    """A counter that starts again at each full minute of the clock."""

    def __init__(self) -> None:
        self._minute = -1
        self._used = 0

    def wait_s(self, limits: Limits, per_minute: int, cost: int, now: float) -> float:
        self._sync(now)
        return 0.0 if self._used + min(cost, per_minute) <= per_minute else 60 - now % 60

    def spend(self, cost: int) -> None:
        self._used = max(0, self._used + cost)

    def left(self, limits: Limits, per_minute: int, now: float) -> tuple[float, float]:
        self._sync(now)
        return per_minute - self._used, 60 - now % 60

    def _sync(self, now: float) -> None:
        if now // 60 != self._minute:
            self._minute, self._used = int(now // 60), 0


class Gate:
    """Lets calls in or denies them; a denied call costs nothing. Tokens are charged first and settled at the end."""

    def __init__(self) -> None:
        self._windows: dict[tuple[WindowKind, Dimension], Window] = {}
        self._in_flight = 0

    def admit(self, limits: Limits, tokens: int, now: float) -> Hold | Denial:
        """Asks for one call that may use so many tokens."""
        denial = self._denial(limits, tokens, now)
        if denial is not None:
            return denial
        for dimension, _, cost in _per_minute(limits, tokens):
            self._window(limits, dimension).spend(cost)
        self._in_flight += 1
        return Hold(tokens, self._in_flight)

    def settle(self, limits: Limits, hold: Hold, tokens: int) -> None:
        """Ends a call that truly used so many tokens."""
        self._in_flight -= 1
        if limits.tpm is not None:
            self._window(limits, "tokens").spend(tokens - hold.tokens)

    def refresh(self) -> None:
        """Fills every window again; calls in flight stay counted."""
        self._windows.clear()

    def standings(self, limits: Limits, now: float) -> list[Standing]:
        """How the limits a minute stand, for response headers."""
        found = []
        for dimension, per_minute, _ in _per_minute(limits, 0):
            left, reset_s = self._window(limits, dimension).left(limits, per_minute, now)
            found.append(Standing(dimension, per_minute, max(0, int(left)), reset_s))
        return found

    def _denial(self, limits: Limits, tokens: int, now: float) -> Denial | None:
        if limits.max_in_flight is not None and self._in_flight >= limits.max_in_flight:
            return Denial("concurrency", limits.max_in_flight, 1.0)
        for dimension, per_minute, cost in _per_minute(limits, tokens):
            wait_s = self._window(limits, dimension).wait_s(limits, per_minute, cost, now)
            if wait_s > 0:
                return Denial(dimension, per_minute, wait_s)
        return None

    def _window(self, limits: Limits, dimension: Dimension) -> Window:
        key = (limits.window, dimension)
        if key not in self._windows:
            self._windows[key] = RefillWindow() if limits.window == "refill" else MinuteWindow()
        return self._windows[key]


def _per_minute(limits: Limits, tokens: int) -> list[tuple[Dimension, int, int]]:
    asked: list[tuple[Dimension, int | None, int]] = [("requests", limits.rpm, 1), ("tokens", limits.tpm, tokens)]
    return [(dimension, per_minute, cost) for dimension, per_minute, cost in asked if per_minute is not None]
