"""The slots of one process among pools: one whose provider hangs does not take those of the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from app.domain.clock import Clock

# A pool may hold so many times what is free ("dynamic thresholds", Choudhury and Hahne 1998): one that hangs leaves a
# quarter of a lane's slots to others, two a seventh; what they leave, the next ones share in the same way.
_TIMES_FREE = 3
# Who has not been asked for so long is no neighbour: a pool alone takes every slot.
_NEIGHBOUR_S = 60.0


class Bulkhead:
    """Counts the jobs that hold a slot of a lane for a pool, in line or in a call. `slots` of a lane."""

    def __init__(self, slots: Callable[[str], int], clock: Clock) -> None:
        self._slots = slots
        self._clock = clock
        self._jobs: dict[tuple[str, str], Counter[str]] = {}
        self._asked_s: dict[tuple[str, str], float] = {}

    def enter(self, lane: str, pool: str, job: str) -> bool:
        """One more call of that job; False, and nothing counted, when the pool holds too much. One job always may."""
        self._asked_s[lane, pool] = self._clock.monotonic()
        jobs = self._jobs.setdefault((lane, pool), Counter())
        if jobs and job not in jobs and self.left(lane, pool) < 1:
            return False
        jobs[job] += 1
        return True

    def leave(self, lane: str, pool: str, job: str) -> None:
        """That call is over."""
        jobs = self._jobs[lane, pool]
        jobs[job] -= 1
        if not jobs[job]:
            del jobs[job]

    def left(self, lane: str, pool: str) -> int:
        """How many more jobs may take a slot for the pool."""
        slots, held = self._slots(lane), len(self._jobs.get((lane, pool), ()))
        if not self._has_neighbours(lane, pool):
            return max(0, slots - held)
        taken = sum(len(jobs) for (other, _), jobs in self._jobs.items() if other == lane)
        # With one more of it, it holds `held + 1`, and one slot less is free.
        return max(0, (_TIMES_FREE * (slots - taken) - held) // (_TIMES_FREE + 1))

    def _has_neighbours(self, lane: str, pool: str) -> bool:
        since_s = self._clock.monotonic() - _NEIGHBOUR_S
        return any(
            other == lane and name != pool and (asked_s > since_s or bool(self._jobs.get((other, name))))
            for (other, name), asked_s in self._asked_s.items()
        )
