"""What the controller has to reach, scenario by scenario; the mean of all seeds counts."""

from __future__ import annotations

from dataclasses import dataclass

from bench.limits.measure import Figures


@dataclass(frozen=True, slots=True)
class Bound:
    """A figure that is at least, or at most, so much."""

    figure: str
    at_least: float | None = None
    at_most: float | None = None

    def holds(self, figures: Figures) -> bool:
        value = figures[self.figure]
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)

    def says(self, figures: Figures) -> str:
        sign, bound = ("<=", self.at_most) if self.at_least is None else (">=", self.at_least)
        return f"{self.figure} {figures[self.figure]:.4g} ({sign} {bound:g})"


def _at_least(figure: str, value: float) -> Bound:
    return Bound(figure, at_least=value)


def _at_most(figure: str, value: float) -> Bound:
    return Bound(figure, at_most=value)


_REQUESTS = (_at_least("use", 97), _at_most("refused", 0.8))
_KNEE = (_at_least("use", 97), _at_most("slower", 1.75))

BARS: dict[str, tuple[Bound, ...]] = {
    "hidden_requests": _REQUESTS,
    "changes": (_at_most("refused", 1), _at_most("up_again_s", 30)),
    "headers": (_at_least("use", 98), _at_most("refused", 0.1)),
    "tokens_mixed": (_at_least("use", 94), _at_most("refused", 1.2), _at_most("wasted", 4)),
    "hidden_cap": (_at_least("use", 95), _at_most("refused", 0.8)),
    "knee_20": _KNEE,
    "knee_40": _KNEE,
    "knee_120": _KNEE,
    "four_workers": _REQUESTS,
    "outage": (_at_most("outage_attempts", 150), _at_most("lost", 0), _at_most("first_success_s", 15)),
    "burst": (_at_most("burst_slower", 1.15),),
    "flood": (_at_most("small_to_first_come", 0.25),),
    "redis_away": (_at_least("away_use", 75), _at_most("away_refused", 1)),
}
