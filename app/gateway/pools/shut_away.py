"""A pool while Redis is away whose credential is refused: what this process saw alone, as `shut.lua` has it."""

from __future__ import annotations

from app.gateway.pools.pool import CallResult

# Every process tries for itself.
_TRIAL_S = 30.0


class LocalShut:
    """`refused`: whether the credential was when Redis was last heard. Times: monotonic seconds."""

    def __init__(self, refused: bool, now_s: float) -> None:
        self.refused = refused
        self._since_s = now_s
        self._trial_at_s = now_s

    def wait_s(self, now_s: float) -> float:
        """0 lets a call go, as the trial where it is refused; else how long to wait."""
        if not self.refused:
            return 0.0
        if now_s < self._trial_at_s:
            return self._trial_at_s - now_s
        self._trial_at_s = now_s + _TRIAL_S
        return 0.0

    def tell(self, now_s: float, result: CallResult) -> None:
        """A call ended; one that was sent since and brought an answer shows that it is mended."""
        if result.refused:
            self._since_s = self._since_s if self.refused else now_s
            self._trial_at_s = max(self._trial_at_s, now_s + _TRIAL_S)
            self.refused = True
        elif result.good and now_s - result.took_s >= self._since_s:
            self.refused = False
