"""Reads the documentation: its pages, and the fenced blocks, links and headings of each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_FILE_NAME = re.compile(r"^# ([\w.-]+)\n")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block; `before` is the block that stands directly above it, with no other between."""

    page: Path
    line: int
    language: str
    text: str
    before: Block | None

    @property
    def place(self) -> str:
        """Where it stands."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def file_name(self) -> str | None:
        """The name that its first line gives it."""
        found = _FILE_NAME.match(self.text)
        return found[1] if found else None


def pages() -> list[Path]:
    """README, changelog and everything below docs, in reading order."""
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path, *languages: str) -> list[Block]:
    """The page's fenced blocks in order; of these languages only, where any are named."""
    found: list[Block] = []
    text = page.read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(page, line, match[1], match[2], found[-1] if found else None))
    return [block for block in found if not languages or block.language in languages]


def every(*languages: str) -> list[Block]:
    """The blocks of all pages."""
    return [block for page in pages() for block in blocks(page, *languages)]


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def links(page: Path) -> Iterator[str]:
    """Where its links lead, as written."""
    yield from _LINK.findall(prose(page))


def anchors(page: Path) -> set[str]:
    """The anchors of its headings, as they are made from them on the web."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
