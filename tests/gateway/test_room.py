"""How many parked jobs of each lane may come to a pool, by what it says of its line."""

from __future__ import annotations

import pytest

from app.gateway.pools.room import A_FEW, told_room


@pytest.mark.parametrize(
    ("goes", "owed", "waiting", "free"),
    [
        # Each lane has what those before it leave.
        (150, 0, (0, 0, 0), (150, 150, 150)),
        (150, 0, (20, 30, 40), (130, 100, 60)),
        (150, 0, (200, 0, 0), (0, 0, 0)),
        # A tenth is owed to the later lanes: the first one leaves it.
        (150, 15, (0, 0, 0), (135, 150, 150)),
        (150, 15, (1000, 0, 0), (0, 15, 15)),
        (150, 15, (1000, 5, 4), (0, 6, 6)),
        # What is owed stands in line already: nobody is called in vain.
        (150, 15, (0, 0, 150), (150, 150, 0)),
        (150, 15, (0, 150, 0), (150, 0, 0)),
        (150, 15, (1000, 10, 5), (0, 0, 0)),
    ],
)
def test_who_may_come(goes: int, owed: int, waiting: tuple[int, int, int], free: tuple[int, int, int]) -> None:
    assert tuple(told_room([goes, owed, *waiting]).free.values()) == free


def test_of_a_pool_that_nobody_has_used_a_few_may_come() -> None:
    assert set(told_room([]).free.values()) == {A_FEW}
