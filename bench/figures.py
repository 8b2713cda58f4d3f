"""A row of the table: what was measured, each contender's figures of all rounds, and the bar it is held to."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Series:
    """One contender's figure of each round; `processor_ms` a job by part, medians."""

    who: str
    keeps: str
    values: list[float]
    processor_ms: dict[str, float] = field(default_factory=dict)

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def cores(self) -> dict[str, float]:
        """Cores that each part keeps busy, where the figure is jobs a second."""
        return {part: ms * self.median / 1000 for part, ms in self.processor_ms.items()}


@dataclass(frozen=True, slots=True)
class Bar:
    """What is expected of the first series: a ratio to the second, or a bound on its median."""

    text: str
    ratio: float | None = None
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """`series[0]` is Laneway's, `series[1]` its peer's; `how` says what was done, `notes` what else was seen.

    Processor time is told for each `per`.
    """

    title: str
    unit: str
    series: list[Series]
    how: str = ""
    bar: Bar | None = None
    lower_is_better: bool = False
    notes: list[str] = field(default_factory=list)
    per: str = "job"

    @property
    def ratio(self) -> float | None:
        """How many times better than the peer; None without one."""
        if len(self.series) < 2:
            return None
        own, peer = self.series[0].median, self.series[1].median
        return peer / own if self.lower_is_better else own / peer

    @property
    def met(self) -> bool | None:
        """Whether the bar is met; None without one."""
        if self.bar is None:
            return None
        own, bar = self.series[0].median, self.bar
        return (
            (bar.ratio is None or (self.ratio or 0) >= bar.ratio)
            and (bar.least is None or own >= bar.least)
            and (bar.most is None or own <= bar.most)
        )


def stored(row: Row) -> dict[str, Any]:
    """As JSON."""
    return asdict(row)


def restored(kept: dict[str, Any]) -> Row:
    """From JSON."""
    made = {**kept, "series": [Series(**one) for one in kept["series"]], "bar": kept["bar"] and Bar(**kept["bar"])}
    return Row(**made)
