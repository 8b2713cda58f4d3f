"""Instruments of one process: counts, spreads and levels that cost a fifth of a microsecond to use.

The library's own take a lock and look up their labels at each use. These are used from the event loop alone, so a plain
dictionary does; the library's registry reads them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

Labels = tuple[str, ...]


class Instrument(Collector):
    """Something with a name, a meaning and labels; a value for each tuple of labels that was ever used."""

    kind: str

    def __init__(self, name: str, meaning: str, labels: Labels = ()) -> None:
        self.name = name
        self.meaning = meaning
        self.labels = labels

    def describe(self) -> Iterator[Metric]:
        """Its name, for the registry to refuse a second one."""
        yield Metric(self.name.removesuffix("_total"), self.meaning, self.kind)


class Count(Instrument):
    """What only grows."""

    kind = "counter"

    def __init__(self, name: str, meaning: str, labels: Labels = ()) -> None:
        super().__init__(name, meaning, labels)
        self._values: defaultdict[Labels, float] = defaultdict(float)

    def add(self, *labels: str, by: float = 1) -> None:
        """Add `by`, which is not negative."""
        self._values[labels] += by

    def collect(self) -> Iterator[Metric]:
        """Its values now."""
        family = CounterMetricFamily(self.name, self.meaning, labels=self.labels)
        for labels, value in self._values.items():
            family.add_metric(labels, value)
        yield family


class Spread(Instrument):
    """How seconds spread over `bounds`; each bound counts to the bucket below it."""

    kind = "histogram"

    def __init__(self, name: str, meaning: str, labels: Labels, bounds: tuple[float, ...]) -> None:
        super().__init__(name, meaning, labels)
        self._bounds = bounds
        self._names = [*(f"{bound:g}" for bound in bounds), "+Inf"]
        # A number for each bucket, then the sum.
        self._values: defaultdict[Labels, list[float]] = defaultdict(lambda: [0] * (len(bounds) + 1) + [0.0])

    def observe(self, seconds: float, *labels: str) -> None:
        """Note one duration; clocks that disagree may make it negative, which counts as 0."""
        values, seconds = self._values[labels], max(0.0, seconds)
        values[bisect_left(self._bounds, seconds)] += 1
        values[-1] += seconds

    def collect(self) -> Iterator[Metric]:
        """Its buckets now."""
        family = HistogramMetricFamily(self.name, self.meaning, labels=self.labels)
        for labels, values in self._values.items():
            buckets = list(zip(self._names, accumulate(values[:-1]), strict=True))
            family.add_metric(labels, buckets, values[-1])
        yield family


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

    def collect(self) -> Iterator[Metric]:
        """Its values now."""
        family = GaugeMetricFamily(self.name, self.meaning, labels=self.labels)
        for labels, ask in self._asked.items():
            family.add_metric(labels, ask())
        yield family


class Reading(Instrument):
    """What was read from elsewhere for one answer."""

    kind = "gauge"

    def __init__(self, name: str, meaning: str, labels: Labels = ()) -> None:
        super().__init__(name, meaning, labels)
        self._values: dict[Labels, float] = {}

    def put(self, value: float, *labels: str) -> None:
        """This is the value under these labels."""
        self._values[labels] = value

    def collect(self) -> Iterator[Metric]:
        """What was put."""
        family = GaugeMetricFamily(self.name, self.meaning, labels=self.labels)
        for labels, value in self._values.items():
            family.add_metric(labels, value)
        yield family
