"""How long what is known is kept, and under which tags."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long an answer is good for (None: as an embedding), and the tags that drop it with others."""

    ttl_s: float | None
    tags: tuple[str, ...] = ()
