"""Every command of the pages runs, and the answers they show have the form of those that came."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import ROOT, Block, blocks, pages
from tests.docs.shell import Shell, serving_block

_MAKE = re.compile(r"^make ([a-z]+)")


@pytest.mark.parametrize("page", [page for page in pages() if blocks(page, "bash")], ids=lambda page: page.stem)
def test_the_commands_of_a_page_run_in_order(page: Path, shell: Shell) -> None:
    said: dict[Block, str] = {}
    for block in blocks(page):
        if block.language == "bash":
            said[block] = _run(block, shell)
        elif block.language in ("json", "http"):
            assert block.before in said, f"{block.place}: no command stands above this answer"
            _compare(block, said[block.before])


def _run(block: Block, shell: Shell) -> str:
    if block == serving_block():
        return ""
    if _MAKE.match(block.text):
        _check_targets(block)
        return ""
    return shell.run(block)


def _check_targets(block: Block) -> None:
    """`make` commands run in tests of their own and in CI; here they must exist, and nothing else may stand there."""
    targets = set(re.findall(r"^([.a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for line in block.text.splitlines():
        found = _MAKE.match(line)
        assert found and found[1] in targets, f"{block.place}: {line}"


def _compare(shown: Block, came: str) -> None:
    if shown.language == "json":
        _compare_form(json.loads(shown.text), json.loads(came), shown.place)
        return
    head = came.replace("\r\n", "\n").split("\n\n")[0].lower().splitlines()
    first, *headers = shown.text.strip().lower().splitlines()
    assert head[0].strip() == first, f"{shown.place}: {head[0]}"
    names = {line.split(":")[0] for line in head[1:]}
    assert {line.split(":")[0] for line in headers} <= names, f"{shown.place}: {names}"


def _compare_form(shown: Any, came: Any, where: str) -> None:
    """Fields and types are the same at every level that the page shows; an empty or null value shows nothing below."""
    if shown in (None, {}, []):
        return
    assert type(shown) is type(came), f"{where}: {came!r}"
    if isinstance(shown, dict):
        assert list(shown) == list(came), f"{where}: {list(came)}"
        for name, value in shown.items():
            _compare_form(value, came[name], f"{where}/{name}")
    elif isinstance(shown, list):
        assert came, f"{where}: empty"
        _compare_form(shown[0], came[0], f"{where}/0")
