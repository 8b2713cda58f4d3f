"""The heart knows when its process may act: by when a beat was sent, and not before it dropped what it lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from app.domain import ids
from app.domain.clock import SystemClock
from app.jobs.heart import Heart
from app.store.database import Database, StoreAway
from app.store.workers import Workers

LEASE_S = 30.0


class Sleeper(SystemClock):
    """A clock of a process that may have slept."""

    slept_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.slept_s


@pytest.fixture
def process_id() -> UUID:
    return ids.uuid7()


@pytest.fixture
async def workers(database: Database, process_id: UUID) -> AsyncIterator[Workers]:
    made = Workers(database, process_id)
    yield made
    await made.close()


@pytest.fixture
def clock() -> Sleeper:
    return Sleeper()


@pytest.fixture
async def heart(workers: Workers, clock: Sleeper) -> Heart:
    made = Heart(workers, clock, role="work", lanes=["standard"], lease_s=LEASE_S)
    await made.register()
    return made


async def test_a_beat_makes_fresh_and_a_whole_lease_of_beats_makes_steady(heart: Heart, clock: Sleeper) -> None:
    assert heart.fresh and not heart.steady
    for _ in range(3):
        clock.slept_s += LEASE_S / 2
        await heart.beat_once()
    assert heart.fresh and heart.steady
    clock.slept_s += LEASE_S
    assert not heart.fresh and not heart.steady
    await heart.beat_once()
    assert heart.fresh and not heart.steady


async def test_an_answer_that_is_read_after_a_sleep_does_not_make_fresh(heart: Heart, clock: Sleeper) -> None:
    beating = asyncio.ensure_future(heart.beat_once())
    await asyncio.sleep(0)
    clock.slept_s += LEASE_S * 2
    await beating
    assert not heart.fresh
    await heart.beat_once()
    assert heart.fresh


async def test_who_was_taken_for_dead_drops_what_he_lost_before_anything_starts(
    heart: Heart, workers: Workers, process_id: UUID, clock: Sleeper
) -> None:
    told: list[bool] = []

    async def drop() -> None:
        await asyncio.sleep(0.05)
        told.append(heart.fresh)
        if len(told) == 1:
            raise StoreAway("gone again")

    heart.on_lost(drop)
    await workers.release(process_id)
    clock.slept_s += LEASE_S * 2
    waiting = asyncio.ensure_future(heart.may_start())
    await heart.beat_once()
    assert not heart.fresh and not waiting.done(), "it could not ask what it lost"
    await heart.beat_once()
    await waiting
    await heart.beat_once()
    assert told == [False, False]
