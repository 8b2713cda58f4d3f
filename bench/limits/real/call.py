"""What every call of the measured run looks like, whoever makes it."""

from __future__ import annotations

MODEL = "mini-1"
_CHARS_PER_TOKEN = 4


def prompt(n: int, tokens: int) -> str:
    """A text of about so many tokens that names its job."""
    return f"<item>{n}</item> {'word ' * tokens}"[: max(24, tokens * _CHARS_PER_TOKEN)]
