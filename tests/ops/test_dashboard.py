"""The dashboard for Grafana, and the questions in the docs, ask for what there is, by labels that it has."""

from __future__ import annotations

import json
import re

import pytest

from app.domain.clock import SYSTEM_CLOCK
from app.ops.scrape import Fleet
from app.telemetry.instruments import Instrument
from app.telemetry.metrics import Metrics
from tests.stack import ROOT

_FLEET = Fleet().instruments()
_OWN = Metrics(SYSTEM_CLOCK).instruments()
_INSTRUMENTS: dict[str, Instrument] = {one.name: one for one in (*_FLEET, *_OWN)}
_SUFFIX = re.compile(r"_(bucket|sum|count)$")
_BY = re.compile(r"by \(([a-z_, ]+)\)")
_WHERE = re.compile(r"\{([a-z_]+)=")
_PAGE = re.sub(r"```.*?```", "", (ROOT / "docs" / "07-telemetry.md").read_text(encoding="utf-8"), flags=re.DOTALL)


def _panels() -> list[str]:
    found = json.loads((ROOT / "deploy" / "grafana.json").read_text(encoding="utf-8"))
    return [target["expr"] for panel in found["panels"] for target in panel["targets"]]


def _questions() -> list[str]:
    return [code for code in re.findall(r"`([^`]*laneway_[^`]*)`", _PAGE) if re.search(r"[({>=]", code)]


@pytest.mark.parametrize("query", [*_panels(), *_questions()])
def test_a_query_asks_for_what_there_is(query: str) -> None:
    names = re.findall(r"laneway_[a-z_]+", query)
    assert names
    known: set[str] = {"le", "process", "role"}
    for name in names:
        one = _INSTRUMENTS.get(name) or _INSTRUMENTS[_SUFFIX.sub("", name)]
        assert (one.kind == "histogram") == bool(_SUFFIX.search(name)), name
        assert ("rate(" in query) == (one.kind != "gauge"), name
        known.update(one.labels)
    asked = {label.strip() for group in _BY.findall(query) for label in group.split(",")}
    assert asked | set(_WHERE.findall(query)) <= known


def test_every_panel_has_a_place_of_its_own() -> None:
    panels = json.loads((ROOT / "deploy" / "grafana.json").read_text(encoding="utf-8"))["panels"]
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert len(places) == len(panels) == len({panel["id"] for panel in panels})
