"""How long to wait before a child is started again."""

from __future__ import annotations

FIRST_S = 0.1
LONGEST_S = 5.0
STEADY_S = 10.0


class Backoff:
    """Doubles from 0.1 s to 5 s; a child that lived for 10 s begins anew."""

    def __init__(self) -> None:
        self._next_s = FIRST_S

    def after(self, lived_s: float) -> float:
        """The pause, in seconds, after a child that lived that long."""
        if lived_s >= STEADY_S:
            self._next_s = FIRST_S
        pause_s = self._next_s
        self._next_s = min(LONGEST_S, pause_s * 2)
        return pause_s
