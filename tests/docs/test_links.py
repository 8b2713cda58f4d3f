"""Links lead somewhere, named files exist, numbered pages stand in order."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.settings import Settings
from tests.docs.pages import ROOT, anchors, links, pages

_PATH = re.compile(r"`((?:app|bench|docs|laneway|migrations|tests)/[\w./*-]+)`")
_VARIABLE = re.compile(r"\bLANEWAY_[A-Z_]+[A-Z]\b")
# Read by `laneway jobs`, not settings.
_OF_CLIENTS = {"LANEWAY_URL", "LANEWAY_API_KEY"}

each_page = pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link}"


@each_page
def test_files_that_are_named_exist(page: Path) -> None:
    for name in _PATH.findall(page.read_text(encoding="utf-8")):
        assert list(ROOT.glob(name.rstrip("/").split("::")[0])), f"{page.name}: {name}"


@each_page
def test_environment_variables_that_are_named_exist(page: Path) -> None:
    fields = {f"LANEWAY_{field.upper()}" for field in Settings.model_fields} | _OF_CLIENTS
    for name in _VARIABLE.findall(page.read_text(encoding="utf-8")):
        assert name.split("__")[0] in fields, f"{page.name}: {name}"


def test_numbered_pages_stand_in_order() -> None:
    numbers = [path.name.split("-")[0] for path in sorted((ROOT / "docs").glob("[0-9]*.md"))]
    assert numbers == [f"{n:02d}" for n in range(1, len(numbers) + 1)]
    decisions = [path.name.split("-")[0] for path in sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))]
    assert decisions == [f"{n:04d}" for n in range(1, len(decisions) + 1)]


def test_the_readme_leads_to_every_numbered_page() -> None:
    reached = set(links(ROOT / "README.md"))
    assert not [page.name for page in (ROOT / "docs").glob("[0-9]*.md") if f"docs/{page.name}" not in reached]


def test_no_command_hides_in_other_blocks() -> None:
    """A `$ command` in a picture would never be run."""
    for page in pages():
        assert not re.search(r"^\$ ", page.read_text(encoding="utf-8"), re.MULTILINE), page.name
