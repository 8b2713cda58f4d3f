"""How much of a pool's line is free for jobs that are parked outside of it, as Redis is asked and answers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any
from uuid import UUID

from app.domain.lane import LANES
from app.domain.park import ParkedLine, Room, Standing
from app.gateway.pools.waiter import track

# Of a pool of which nothing is known so many are let come: the first of them makes it known.
A_FEW = 10
_COLUMNS = 5


def room_for(count: int) -> Room:
    """So many, of any lane."""
    return Room(dict.fromkeys(LANES, max(0, count)))


def as_arguments(parked: Sequence[ParkedLine]) -> list[str | int]:
    """As the script takes them."""
    return [
        part
        for one in parked
        for part in (track(one.lane), LANES.index(one.lane), one.project_id.hex, one.asleep + one.woken)
    ]


def told_room(answer: Sequence[Any]) -> Room:
    """What the script says: all that goes, what of it is owed to the lanes behind the first, who waits in each lane,
    and each tenant's part.
    """
    if not answer:
        return room_for(A_FEW)
    goes, owed, *rest = answer
    waiting, tenants = rest[: len(LANES)], rest[len(LANES) :]
    # What is owed and does not stand in line yet: the first lane leaves it.
    lacks = max(0, owed - sum(waiting[1:]))
    first, *before = accumulate(waiting)
    free = {LANES[0]: max(0, goes - lacks - first)}
    for lane, others in zip(LANES[1:], before, strict=True):
        free[lane] = max(0, goes - others, free[LANES[0]] + lacks if lacks else 0)
    rows = zip(*(tenants[n::_COLUMNS] for n in range(_COLUMNS)), strict=True)
    return Room(free, [one for row in rows for one in _standing(*row)])


def _standing(shared: int, project: bytes, standard: int, waiting: int, had: bytes) -> list[Standing]:
    """In the lane or lanes that the controller's one stands for."""
    project_id, share = UUID(hex=project.decode()), float(had)
    if shared == track(LANES[0]):
        return [Standing(LANES[0], project_id, waiting, share)]
    return [Standing(LANES[1], project_id, standard, share), Standing(LANES[2], project_id, waiting - standard, share)]
