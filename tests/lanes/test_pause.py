"""Pauses are read at the claim: no job is rewritten, what runs goes on, and the rest of the lane too."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from app.store.pauses import PauseKind, Pauses
from tests.lanes.turns import Turns

_WORKFLOW = "paused-in-test"


@pytest.fixture
async def pauses(turns: Turns) -> AsyncIterator[Pauses]:
    """Nothing stays paused."""
    door = Pauses(turns.database)
    yield door
    for pause in await door.standing():
        await door.resume(pause.kind, pause.name)


async def _rows(turns: Turns) -> list[tuple[object, ...]]:
    return [tuple(row) for row in await turns.sql("select *, xmin from jobs where lane = $1 order by id", turns.lane)]


async def test_a_paused_lane_starts_nothing_until_it_is_resumed(turns: Turns, pauses: Pauses) -> None:
    ids = await turns.submit(3)
    worker = turns.worker()
    running = await worker.start()
    assert running is not None
    assert await pauses.pause(PauseKind.LANE, turns.lane)
    before = await _rows(turns)
    assert await worker.start() is None
    assert await worker.claims.due(turns.lane, 10) == 0, "nor does anybody ring for it"
    assert await _rows(turns) == before
    await worker.end(running)
    assert await pauses.resume(PauseKind.LANE, turns.lane)
    assert [job.id for job in await worker.run(5)] == ids[1:]


async def test_a_paused_workflow_is_passed_by(turns: Turns, pauses: Pauses) -> None:
    held = await turns.submit(5, workflow=_WORKFLOW, priority=9)
    others = await turns.submit(2)
    await pauses.pause(PauseKind.WORKFLOW, _WORKFLOW)
    worker = turns.worker()
    assert [job.id for job in await worker.run(10)] == others
    await pauses.resume(PauseKind.WORKFLOW, _WORKFLOW)
    assert [job.id for job in await worker.run(10)] == held


async def test_pausing_twice_is_pausing_once(turns: Turns, pauses: Pauses) -> None:
    assert await pauses.pause(PauseKind.LANE, turns.lane)
    assert not await pauses.pause(PauseKind.LANE, turns.lane)
    assert [(pause.kind, pause.name) for pause in await pauses.standing()] == [(PauseKind.LANE, turns.lane)]
    assert await pauses.resume(PauseKind.LANE, turns.lane)
    assert not await pauses.resume(PauseKind.LANE, turns.lane)
