"""What the pages have from the code is what the code says now."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from docs.generate import PARTS, renewed
from docs.pictures import PICTURE, TRACE, draw
from tests.clients.receiver import receiver
from tests.docs.pages import ROOT, pages
from tests.docs.settings_rows import rows
from tests.docs.shell import Shell
from tests.stack import until

_SETTING = re.compile(r"^\| `([^`]+)` \| ([^|]*) \| ([^|]*) \| (\S[^|]*) \|$", re.MULTILINE)


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)
def test_generated_parts_are_up_to_date(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert renewed(text) == text, "run: python -m docs.generate"


def test_every_part_has_its_place() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in pages())
    assert sorted(re.findall(r"<!-- generated: ([a-z-]+) -->", text)) == sorted(PARTS)


def test_the_picture_is_the_trace_that_stands_beside_it() -> None:
    assert PICTURE.read_text(encoding="utf-8") == draw(json.loads(TRACE.read_text(encoding="utf-8")))


def test_the_trace_has_the_form_of_todays(shell: Shell) -> None:
    """Drawn once, the picture must not show what no trace shows any more."""
    kept = json.loads(TRACE.read_text(encoding="utf-8"))
    today = _traced(shell)
    for kind in ("job", "wait", "attempt", "step", "call", "webhook"):
        assert _fields(kept, kind) == _fields(today, kind), kind
    assert _names(kept) == _names(today)


def _traced(shell: Shell) -> Any:
    """The trace of another run of the job in the picture."""
    with receiver() as hooks, shell.client() as client:
        body = {
            "input": next(span["attributes"]["input"] for span in json.loads(TRACE.read_text())["spans"]),
            "webhook": {"url": hooks.answer("/posts")},
        }
        job = client.post("/v1/workflows/moderate-post/jobs", json=body, headers={"Prefer": "wait=30"}).json()
        path = f"/v1/jobs/{job['id']}"
        until(lambda: client.get(path).json()["webhook_delivery"] == "succeeded")
        return client.get(f"{path}/trace").json()


def _fields(trace: Any, kind: str) -> set[str]:
    """Of the first span of that kind."""
    span = next(span for span in trace["spans"] if span["kind"] == kind)
    return {*span, *span["attributes"]}


def _names(trace: Any) -> list[str]:
    """Whether a call had to wait for the limiter is chance, and so is which of several steps came first."""
    return sorted(span["name"] for span in trace["spans"] if span["kind"] != "wait")


def test_every_setting_is_told_with_its_default_and_bounds() -> None:
    page = (ROOT / "docs" / "05-configuration.md").read_text(encoding="utf-8")
    told = [tuple(cell.strip() for cell in found[:3]) for found in _SETTING.findall(page)]
    assert sorted(told) == sorted(rows())
