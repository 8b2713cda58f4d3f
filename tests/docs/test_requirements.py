"""The page of requirements: every line once, with a known state, shown by tests that exist."""

from __future__ import annotations

import ast
import re
from collections import Counter

from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "requirements.md"
_ROW = re.compile(r"^\| (R\d{3}) \| (\S.*\S) \| (works|partly|not yet) \| (.+) \|$", re.MULTILINE)
_LAST = 151


def _rows() -> list[tuple[str, str, str, list[str]]]:
    found = _ROW.findall(PAGE.read_text(encoding="utf-8"))
    return [(name, line, state, re.findall(r"`([^`]+)`", shown)) for name, line, state, shown in found]


def test_every_line_is_there_once_in_order() -> None:
    assert [name for name, *_ in _rows()] == [f"R{n:03d}" for n in range(1, _LAST + 1)]
    assert len(re.findall(r"^\| R\d", PAGE.read_text(), re.MULTILINE)) == _LAST


def test_what_is_claimed_is_shown_by_a_test() -> None:
    for name, _, state, shown in _rows():
        assert bool(shown) == (state != "not yet"), name


def test_the_named_tests_exist() -> None:
    for name, _, _, shown in _rows():
        for test in shown:
            path, _, function = test.partition("::")
            file = ROOT / path
            assert file.is_file() and file.name.startswith("test_"), f"{name}: {path}"
            assert not function or function in _functions(file.read_text(encoding="utf-8")), f"{name}: {test}"


def test_the_counts_are_those_of_the_rows() -> None:
    counts = Counter(state for _, _, state, _ in _rows())
    told = f"Of {_LAST}: {counts['works']} work, {counts['partly']} partly, {counts['not yet']} not yet."
    assert told in PAGE.read_text(encoding="utf-8"), told


def _functions(source: str) -> set[str]:
    tree = ast.parse(source)
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
