"""Routing: which alias a question goes to, by what is asked; plain functions from a text to an alias."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Mapping, Sequence

from app.engine.work import misuse
from app.gateway.calls.request import Message

Route = Callable[[str], str]
"""Picks an alias by a text. Pure: the same text gives the same alias."""

_WORD = re.compile(r"\w+")
_END = re.compile(r"[.!?:]+(?:\s|$)|\n\s*\n")
_LONG_WORD = 6
# Below it a reading index says nothing.
_FEWEST_WORDS = 50
_MAGIC = (
    (b"%PDF-", "application/pdf"), (b"\x89PNG\r\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"), (b"PK\x03\x04", "application/zip"), (b"\x1f\x8b", "application/gzip"),
)  # fmt: skip
_HTML = re.compile(r"\s*<(!doctype html|html|head|body|div|p|h[1-6]|table|ul|ol)\b", re.IGNORECASE)
_XML = re.compile(r"\s*<(\?xml|[A-Za-z_][\w.:-]*(\s[^<>]*)?>)")
# Of a table: the lines that are looked at, and the fewest separators in them.
_LOOKED_AT = 20
_FEWEST_MARKS = 4


def alias_of(identity: tuple[str, str], model: str | Route, conversation: Sequence[Message]) -> str:
    """The alias that is named, or that a function picks by the user's turns. Raises ProcessingError where it fails."""
    if isinstance(model, str):
        return model
    try:
        picked = model("\n".join(message.content for message in conversation if message.role == "user"))
    except Exception as error:
        raise misuse(identity, f"can't be routed: its function raised {type(error).__name__}") from error
    if not isinstance(picked, str):
        raise misuse(identity, f"is routed to {picked!r}, which is no alias")
    return picked


def named(model: str | Route) -> str:
    """What the step's digest holds of it: a routed step's record counts, whatever would be picked today."""
    return model if isinstance(model, str) else "(routed)"


def by_complexity(simple: str, demanding: str, *, characters: int = 2000, lix: float = 55.0) -> Route:
    """A function that picks `demanding` for a text that is long or hard to read, else `simple`.

    Long is more than `characters`. Hard is a reading index (`lix`) above the bound, for texts of 50 words or more: 40
    is a newspaper, 50 a specialist's text, 60 a law.
    """

    def route(text: str) -> str:
        hard = len(text) > characters or reading_index(text) > lix
        return demanding if hard else simple

    return route


def by_type(aliases: Mapping[str, str], otherwise: str) -> Callable[[str | bytes], str]:
    """A function that picks the alias of a content's type; `"image/*"` stands for all images."""

    def route(content: str | bytes) -> str:
        found = content_type(content)
        return aliases.get(found) or aliases.get(f"{found.partition('/')[0]}/*") or otherwise

    return route


def reading_index(text: str) -> float:
    """LIX (Björnsson, 1968): words of a sentence on average, plus the percentage of words above six letters.

    0 for fewer than 50 words. It knows no language, but needs one that writes spaces.
    """
    words = _WORD.findall(text)
    if len(words) < _FEWEST_WORDS:
        return 0.0
    sentences = sum(1 for part in _END.split(text) if part.strip())
    long_words = sum(len(word) > _LONG_WORD for word in words)
    return len(words) / max(1, sentences) + 100 * long_words / len(words)


def content_type(content: str | bytes) -> str:
    """What a content is by its beginning, whatever its name says: a media type; `text/plain` where nothing shows."""
    if isinstance(content, bytes):
        for magic, found in _MAGIC:
            if content.startswith(magic):
                return found
        try:
            content = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            return "application/octet-stream"
    return _text_type(content)


def _text_type(text: str) -> str:
    if _is_json(text):
        return "application/json"
    if _HTML.match(text):
        return "text/html"
    if _XML.match(text):
        return "application/xml"
    return "text/csv" if _is_table(text) else "text/plain"


def _is_json(text: str) -> bool:
    if not text.lstrip().startswith(("{", "[")):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _is_table(text: str) -> bool:
    """Whether all lines have as many cells, and there are more of them than chance puts into a short letter."""
    lines = [line for line in text.splitlines()[:_LOOKED_AT] if line.strip()]
    for mark in (",", ";", "\t"):
        cells = {len(row) for row in csv.reader(lines, delimiter=mark)}
        if len(cells) == 1 and len(lines) * (cells.pop() - 1) >= _FEWEST_MARKS and len(lines) > 1:
            return True
    return False
