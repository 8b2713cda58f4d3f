"""Puts a stranger's text into a prompt so that it can't pass for the prompt itself."""

from __future__ import annotations

import re

_OWN_TAG = re.compile(r"<(?=\s*/?\s*item\b)", re.IGNORECASE)


def item(text: str) -> str:
    """The text between `<item>` and `</item>`; tags of that name inside it lose their bracket."""
    return f"<item>{defused(text)}</item>"


def defused(text: str) -> str:
    """The text as `item` writes it: no tag of that name is left, nor in any piece of it."""
    return _OWN_TAG.sub("‹", text)
