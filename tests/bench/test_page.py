"""The page, its record and its picture say the same."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.chart import draw
from bench.figures import Bar, Row, Series
from bench.page import tables
from bench.record import RECORD, Record, keep, load

_OWN = Series("Laneway", "all", [900.0, 1000.0, 1200.0], {"api": 0.5})
_PEER = Series("a <peer>", "nothing", [400.0, 500.0, 450.0])


def _row(bar: Bar | None, *, lower: bool = False) -> Row:
    return Row("Submits", "jobs/s", [_OWN, _PEER], "So many.", bar, lower, ["A note."])


@pytest.mark.parametrize(
    ("bar", "lower", "met"),
    [
        (Bar("", ratio=2.2), False, True),
        (Bar("", ratio=2.3), False, False),
        (Bar("", least=1001.0), False, False),
        (Bar("", most=1000.0), True, True),
        (Bar("", ratio=0.5), True, False),
        (None, False, None),
    ],
)
def test_a_bar_is_met_by_the_medians(bar: Bar | None, lower: bool, met: bool | None) -> None:
    assert _row(bar, lower=lower).met is met


def test_a_record_is_kept_beside_the_others(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    first, second = Record("a", "then", [_row(Bar("2x", ratio=2.0))]), Record("b", "now", [_row(None)])
    keep(second, path)
    keep(first, path)
    assert load(path) == [first, second]
    keep(Record("b", "later", [_row(None)]), path)
    assert [one.facts for one in load(path)] == ["then", "later"]


def test_the_tables_show_medians_ranges_and_the_bar() -> None:
    text = tables([Record("a", "Facts.", [_row(Bar("at least 3x", ratio=3.0))])])
    assert "| a | Submits, jobs/s | 1,000 | 450 (a <peer>) | 2.2x | at least 3x | **not met** |" in text
    assert "| Laneway | all | 1,000 (900–1,200) | api 0.50 | 0.5, most by api: 0.50 |" in text
    assert "Facts." in text and "A note." in text


def test_the_picture_has_a_bar_for_each_row_with_a_peer() -> None:
    alone = Row("Alone", "MB", [_OWN])
    drawn = draw([Record("a", "", [_row(None), _row(None, lower=True), alone])])
    notes = "".join(ElementTree.fromstring(drawn).itertext())
    assert "2.2x" in notes and "0.45x" in notes and "Alone" not in notes


def test_the_picture_beside_the_page_is_that_of_the_record() -> None:
    picture = RECORD.with_suffix(".svg")
    assert (picture.read_text(encoding="utf-8") if picture.exists() else None) == (draw(load()) if load() else None)
