"""Instruments of one process: counts, spreads and levels, and their lines in the text format of Prometheus.

The library's own take a lock and look up their labels at each use, and need 25 microseconds for a line. These are used
from the event loop alone, so a plain dictionary does: a fifth of a microsecond for a use, half a one for a line.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping

Labels = tuple[str, ...]
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


def head(name: str, meaning: str, kind: str) -> str:
    """The two lines before a family's own."""
    return f"# HELP {name} {meaning}\n# TYPE {name} {kind}\n"


def pairs(labels: Mapping[str, str] | Iterable[tuple[str, str]]) -> str:
    """Labels as they stand in a line, a comma behind each."""
    found = labels.items() if isinstance(labels, Mapping) else labels
    return "".join(f'{name}="{value.translate(_ESCAPES)}",' for name, value in found)


class Instrument(ABC):
    """Something with a name, a meaning and labels; a value for each tuple of labels that was ever used."""

    kind: str

    def __init__(self, name: str, meaning: str, labels: Labels = ()) -> None:
        self.name = name
        self.meaning = meaning
        self.labels = labels
        self._shown: dict[Labels, str] = {}

    def text(self, common: str = "") -> str:
        """Its lines under their head, `common` labels first in each; nothing while it has no value."""
        lines = "".join(self._lines(common))
        return head(self.name, self.meaning, self.kind) + lines if lines else ""

    @abstractmethod
    def _lines(self, common: str) -> Iterator[str]:
        """A line for each value."""

    def _pairs(self, labels: Labels) -> str:
        if labels not in self._shown:
            self._shown[labels] = pairs(zip(self.labels, labels, strict=True))
        return self._shown[labels]

    def _plain(self, common: str, values: Iterable[tuple[Labels, float]]) -> Iterator[str]:
        for labels, value in values:
            yield f"{self.name}{{{(common + self._pairs(labels))[:-1]}}} {float(value)!r}\n"


class Count(Instrument):
    """What only grows."""

    kind = "counter"

    def __init__(self, name: str, meaning: str, labels: Labels = ()) -> None:
        super().__init__(name, meaning, labels)
        self._values: defaultdict[Labels, float] = defaultdict(float)

    def add(self, *labels: str, by: float = 1) -> None:
        """Add `by`, which is not negative."""
        self._values[labels] += by

    def _lines(self, common: str) -> Iterator[str]:
        return self._plain(common, self._values.items())


class Spread(Instrument):
    """How seconds spread over `bounds`; each bound counts to the bucket below it."""

    kind = "histogram"

    def __init__(self, name: str, meaning: str, labels: Labels, bounds: tuple[float, ...]) -> None:
        super().__init__(name, meaning, labels)
        self._bounds = bounds
        self._names = [*(str(float(bound)) for bound in bounds), "+Inf"]
        # A number for each bucket, then the sum.
        self._values: defaultdict[Labels, list[float]] = defaultdict(lambda: [0] * (len(bounds) + 1) + [0.0])

    def observe(self, seconds: float, *labels: str) -> None:
        """Note one duration; clocks that disagree may make it negative, which counts as 0."""
        values, seconds = self._values[labels], max(0.0, seconds)
        values[bisect_left(self._bounds, seconds)] += 1
        values[-1] += seconds

    def means(self) -> Iterator[tuple[Labels, float]]:
        """The average under each labels that were ever used."""
        return ((labels, values[-1] / sum(values[:-1])) for labels, values in self._values.items())

    def _lines(self, common: str) -> Iterator[str]:
        for labels, values in self._values.items():
            own, count = common + self._pairs(labels), 0.0
            for bound, n in zip(self._names, values, strict=False):
                count += n
                yield f'{self.name}_bucket{{{own}le="{bound}"}} {count}\n'
            yield f"{self.name}_count{{{own[:-1]}}} {count}\n{self.name}_sum{{{own[:-1]}}} {values[-1]!r}\n"


class Level(Instrument):
    """What goes up and down: asked for when it is read."""

    kind = "gauge"

    def __init__(self, name: str, meaning: str, labels: Labels = ()) -> None:
        super().__init__(name, meaning, labels)
        self._asked: dict[Labels, Callable[[], float]] = {}

    def watch(self, ask: Callable[[], float], *labels: str) -> None:
        """Ask this for the value under these labels."""
        self._asked[labels] = ask

    def value(self, *labels: str) -> float:
        """The value now, 0 where nobody says it."""
        ask = self._asked.get(labels)
        return ask() if ask else 0.0

    def _lines(self, common: str) -> Iterator[str]:
        return self._plain(common, ((labels, ask()) for labels, ask in self._asked.items()))


class Reading(Instrument):
    """What was read from elsewhere for one answer."""

    kind = "gauge"

    def __init__(self, name: str, meaning: str, labels: Labels = ()) -> None:
        super().__init__(name, meaning, labels)
        self._values: dict[Labels, float] = {}

    def put(self, value: float, *labels: str) -> None:
        """This is the value under these labels."""
        self._values[labels] = value

    def _lines(self, common: str) -> Iterator[str]:
        return self._plain(common, self._values.items())
