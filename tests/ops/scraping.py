"""Reads `/metrics` as Prometheus does, with the library's own parser."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import httpx
from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True, slots=True)
class Scraped:
    """One answer: the value of each sample by its name and labels; kinds by family."""

    samples: dict[tuple[str, frozenset[tuple[str, str]]], float]
    kinds: dict[str, str]

    def by(self, name: str, *labels: str, **where: str) -> dict[tuple[str, ...], float]:
        """Sums over all other labels, of the samples that have what `where` says."""
        found: defaultdict[tuple[str, ...], float] = defaultdict(float)
        for (own, pairs), value in self.samples.items():
            known = dict(pairs)
            if own == name and where.items() <= known.items():
                found[tuple(known[label] for label in labels)] += value
        return dict(found)

    def total(self, name: str, **where: str) -> float:
        """The sum of all."""
        return sum(self.by(name, **where).values())

    @property
    def names(self) -> set[str]:
        """Of all samples."""
        return {name for name, _ in self.samples}


def read(text: str) -> Scraped:
    """Raises AssertionError for a sample that is there twice."""
    samples: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    kinds = {}
    for family in text_string_to_metric_families(text):
        assert family.name not in kinds, f"{family.name} has two heads"
        kinds[family.name] = family.type
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in samples, key
            samples[key] = sample.value
    return Scraped(samples, kinds)


def scrape(client: httpx.Client) -> Scraped:
    """The answer of that API."""
    response = client.get("/metrics")
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    return read(response.text)
