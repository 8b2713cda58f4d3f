"""Jobs that are parked for a pool, and how much of its line is free for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class ParkedLine:
    """What one project has parked of a lane for one pool: `asleep` until its turn; `woken`, and not claimed yet."""

    lane: str
    project_id: UUID
    asleep: int
    woken: int


@dataclass(frozen=True, slots=True)
class Standing:
    """What one project has in the pool's line: calls that wait, and what it has had, in the pool's own measure."""

    lane: str
    project_id: UUID
    waiting: int
    had: float


@dataclass(frozen=True, slots=True)
class Room:
    """`free`: by lane, in the order in which they are served, how many more of it and of those before it may come."""

    free: Mapping[str, int]
    standing: Sequence[Standing] = ()
