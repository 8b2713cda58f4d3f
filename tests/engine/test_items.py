"""The reader of arrays: the same elements however the text is cut, whatever stands around it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engine.items import ItemReader

TEXTS = st.text() | st.sampled_from(['"', "\\", '\\"', "[", "]", "{}", ",", '["a", {"b": "]"}]', "\\u005d"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
CUTS = st.lists(st.integers(0, 400), max_size=30)
LAYOUTS = st.sampled_from([(None, (",", ":")), (None, (", ", ": ")), (2, (",", ": "))])


def read(text: str, cuts: list[int]) -> list[Any]:
    """The elements of a text that comes in these pieces, as values."""
    reader, found, start = ItemReader(), [], 0
    for end in [*sorted(cut for cut in cuts if cut < len(text)), len(text)]:
        found += reader.feed(text[start:end])
        start = end
    return [json.loads(one) for one in found]


@given(st.lists(VALUES, max_size=6), LAYOUTS, st.booleans(), CUTS)
def test_any_cut_of_any_array_gives_its_elements(
    array: list[Any], layout: Any, ascii_only: bool, cuts: list[int]
) -> None:
    indent, separators = layout
    text = json.dumps(array, indent=indent, separators=separators, ensure_ascii=ascii_only)
    assert read(text, cuts) == array


@given(st.lists(VALUES, max_size=4), st.sampled_from(['{"items":', '```json\n{"items": ', "\n "]), CUTS)
def test_what_stands_around_the_array_is_passed_over(array: list[Any], before: str, cuts: list[int]) -> None:
    assert read(f"{before}{json.dumps(array)}}}\n``` and [more]", cuts) == array


@given(st.lists(VALUES, min_size=1, max_size=4), CUTS)
def test_an_element_comes_as_soon_as_it_is_over(array: list[Any], cuts: list[int]) -> None:
    """All but the last of a text that breaks off after its comma."""
    text = json.dumps([*array, 0])[:-2]
    assert read(text, cuts) == array


def test_one_character_at_a_time() -> None:
    text = '{"items": [{"a": "x\\"],["}, [1, [2]], "b\\\\", -1.5e3 , null]}'
    expected = [{"a": 'x"],['}, [1, [2]], "b\\", -1500.0, None]
    assert read(text, list(range(len(text)))) == expected
    assert read(text, []) == expected


@pytest.mark.parametrize("text", ["", "no array", "{}", "[", "[]", "[ \n ]"])
def test_nothing_comes_of_nothing(text: str) -> None:
    assert read(text, []) == []
