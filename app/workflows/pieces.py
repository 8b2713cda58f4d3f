"""Splits a text so that summarizing it takes the fewest calls, and says in which groups the parts are combined.

The rule: with room for `limit` bytes of text in a call and for `fan_in` partial summaries in a combining one, n pieces
take n calls, and then (n - 1) / (fan_in - 1) more, rounded up (none for one piece). Both grow with n, so the fewest
calls come from the fewest pieces, and those from filling every piece; nicer ends are chosen within what that leaves.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

Part = TypeVar("Part")

# The ends of a piece, the nicest first: paragraph, line, sentence, word. On UTF-8 bytes; the last two of a sentence's
# are the full-width stop and marks.
_ENDS = (
    re.compile(rb"\n[ \t]*\n\s*"),
    re.compile(rb"\n\s*"),
    re.compile(rb"[.!?][\"')\]]*\s+|\xe3\x80\x82\s*|\xef\xbc[\x81\x9f]\s*"),
    re.compile(rb"\s+"),
)
_LONGEST_CHARACTER = 4


def split(text: str, limit: int) -> list[str]:
    """The fewest consecutive pieces of at most `limit` UTF-8 bytes; joined they are the text. Raises ValueError.

    Each piece ends as nicely as it can without making another one necessary, and near an even share.
    """
    if limit < _LONGEST_CHARACTER:
        raise ValueError(f"a piece of {limit} bytes can't hold every character")
    data = text.encode()
    cuts, start = [0], 0
    earliest = _earliest(data, limit)
    for n, first in enumerate(earliest):
        target = start + (len(data) - start) // (len(earliest) + 1 - n)
        last = _back(data, start + limit)
        start = _nicest(data, start, max(first, 2 * target - last), last, target) or _back(data, max(first, target))
        cuts.append(start)
    cuts.append(len(data))
    return [data[one:other].decode() for one, other in pairwise(cuts) if other > one]


def head(text: str, limit: int) -> str:
    """As much from the beginning as fits into `limit` UTF-8 bytes, to a nice end in its second half if there is one."""
    data = text.encode()
    if len(data) <= limit:
        return text
    last = _back(data, limit)
    return data[: _nicest(data, 0, last // 2, last, last) or last].decode()


def calls(pieces: int, fan_in: int) -> int:
    """How many calls so many pieces take: one each, and the fewest that combine `fan_in` at a time (at least 2)."""
    return pieces + -(-(pieces - 1) // (fan_in - 1)) if pieces > 1 else pieces


def groups(parts: Sequence[Part], fan_in: int) -> list[list[Part]]:
    """The groups of one round, in order; a group of one needs no call. Repeated until one is left, it is the fewest.

    Every group but the last round's is full: each full call leaves fan_in - 1 parts fewer, and none can leave more.
    """
    if len(parts) <= fan_in:
        return [list(parts)]
    full = len(parts) // fan_in * fan_in
    return [list(parts[n : n + fan_in]) for n in range(0, full, fan_in)] + [[part] for part in parts[full:]]


def _earliest(data: bytes, limit: int) -> list[int]:
    """For each cut the first place that still lets the rest fit into the pieces left: found from the end."""
    found, end = [], len(data)
    while end > limit:
        end = _forth(data, end - limit)
        found.append(end)
    return found[::-1]


def _nicest(data: bytes, start: int, first: int, last: int, target: int) -> int | None:
    """The end of the nicest kind in this range that is nearest to the target; None where there is only mid-word."""
    for pattern in _ENDS:
        ends = [match.end() for match in pattern.finditer(data, start, last) if match.end() >= first]
        if ends:
            return min(ends, key=lambda end: abs(end - target))
    return None


def _back(data: bytes, place: int) -> int:
    """This place, or the nearest before it that cuts no character."""
    while 0 < place < len(data) and data[place] & 0xC0 == 0x80:
        place -= 1
    return min(place, len(data))


def _forth(data: bytes, place: int) -> int:
    """This place, or the nearest after it that cuts no character."""
    while 0 < place < len(data) and data[place] & 0xC0 == 0x80:
        place += 1
    return place
