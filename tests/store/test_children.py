"""Children in the store: started once, each end counted once, no parent left waiting, no two flushes deadlocked."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.domain.errors import ErrorClass, Failure
from app.domain.job import Claimed, Reason, Status
from app.domain.step import StepRecord, StepStatus, StepWrite
from app.store.children import Children, ChildrenOf, SpawnRow
from app.store.leaves import Leave
from tests.store.parts import PROJECT, Store, Worker, render

DIGEST = b"d"
LATER = datetime(2999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Parent:
    """A claimed job and the doors that its worker has."""

    store: Store
    worker: Worker
    job: Claimed
    children: Children

    @property
    def lane(self) -> str:
        """The lane of its children."""
        return f"{self.job.lane}-children"

    async def spawn(self, name: str = "s", digest: bytes = DIGEST) -> SpawnRow:
        """The spawn of that name."""
        row = await self.children.spawn(self.job, name, "", digest)
        assert row is not None
        return row

    async def start(self, row: SpawnRow, count: int) -> SpawnRow | None:
        """One more portion of so many children."""
        common = ChildrenOf("noop", "1", self.lane, 60.0, None, "00f067aa0ba902b7")
        return await self.children.start(self.job, row, common, [b"%d" % n for n in range(count)])

    async def start_all(self, count: int, name: str = "s") -> SpawnRow:
        """All of them."""
        row = await self.spawn(name)
        while row.started < count:
            begun = await self.start(row, count)
            assert begun is not None
            row = begun
        return row

    async def park(self) -> None:
        """Wait for the children."""
        leave = Leave(self.job, Status.WAITING, reason=Reason.CHILDREN, due_at=LATER)
        assert await self.worker.leaves.leave(leave) is not None

    async def due(self) -> bool:
        """Whether it may be claimed now."""
        (row,) = await rows(
            self.store, "select due_at <= clock_timestamp() as due from jobs where id = $1", self.job.id
        )
        return bool(row["due"])


async def rows(store: Store, statement: str, *values: Any) -> list[Any]:
    async with store.database.connection() as connection:
        return list(await connection.fetch(statement, *values))


async def parent(store: Store, portion: int = 10, **job: Any) -> Parent:
    """A new job in a lane of its own, claimed."""
    lane = uuid4().hex
    await store.submit(lane, **job)
    worker = store.worker()
    claimed = await worker.claims.claim(lane)
    assert claimed is not None
    return Parent(store, worker, claimed, Children(store.database, render, portion))


async def claimed(worker: Worker, lane: str, count: int) -> list[Claimed]:
    """So many jobs of the lane."""
    found = await asyncio.gather(*(worker.claims.claim(lane) for _ in range(count)))
    assert all(found)
    return [one for one in found if one is not None]


def done(job: Claimed) -> Leave:
    """It succeeds."""
    return Leave(job, Status.SUCCEEDED, output=b"1")


def failed(job: Claimed) -> Leave:
    """It fails."""
    return Leave(job, Status.FAILED, error=Failure(ErrorClass.PROCESSING, "workflow_error", "as the test wants"))


async def open_in(store: Store, row: SpawnRow) -> int:
    (found,) = await rows(store, "select open from spawns where id = $1", row.id)
    return int(found["open"])


async def test_portions_are_started_once_whoever_repeats_them(store: Store) -> None:
    one = await parent(store)
    empty = await one.spawn()
    first = await one.start(empty, 25)
    assert first is not None
    assert (first.started, first.open) == (10, 10)
    # The answer of that commit was lost: the same portion again makes nothing, and is counted as it is.
    again = await one.start(empty, 25)
    assert again == first
    made = await rows(store, "select spawn_index from jobs where parent_id = $1 order by id", one.job.id)
    assert sorted(row["spawn_index"] for row in made) == list(range(10))
    assert await open_in(store, empty) == 10


async def test_who_lost_the_job_starts_nothing_and_the_heir_goes_on(store: Store) -> None:
    one = await parent(store)
    before = await one.start(await one.spawn(), 25)
    assert before is not None
    await store.controls.recover([one.worker.id], died=False)
    assert await one.start(before, 25) is None
    assert await one.children.spawn(one.job, "s", "", DIGEST) is None
    (again,) = await claimed(one.worker, one.job.lane, 1)
    heir = Parent(store, one.worker, again, one.children)
    row = await heir.spawn()
    assert row == before
    assert (await heir.start_all(25)).started == 25
    made = await rows(store, "select spawn_index, count(*) from jobs where parent_id = $1 group by 1", one.job.id)
    assert {row["spawn_index"]: row["count"] for row in made} == dict.fromkeys(range(25), 1)


async def test_a_child_has_what_its_parent_has(store: Store) -> None:
    deadline = datetime.now(UTC) + timedelta(hours=1)
    one = await parent(store, priority=8, test_mode=True, simulated=True, finish_by=deadline)
    row = await one.start_all(3)
    found = await rows(
        store, "select j.*, p.body from jobs j join payloads p on p.id = j.input_id where parent_id = $1", one.job.id
    )
    assert {child["id"]: child["body"] for child in found} == {row.child(n): b"%d" % n for n in range(3)}
    for child in found:
        assert (child["project_id"], child["priority"], child["trace_id"]) == (PROJECT, 8, one.job.trace.trace_id)
        assert (child["test_mode"], child["simulated"], child["finish_by"]) == (True, True, deadline)
        assert (child["expire_by"], child["status"], child["lane"]) == (deadline, "queued", one.lane)
    firsts = await claimed(store.worker(), one.lane, 3)
    assert [job.input for job in sorted(firsts, key=lambda job: job.due_at)] == [b"0", b"1", b"2"]
    events = await rows(store, "select type from events where job_id = any($1::uuid[])", [job.id for job in firsts])
    assert sorted(event["type"] for event in events) == ["job.started"] * 3 + ["job.submitted"] * 3


async def test_a_spawn_with_other_inputs_is_another_and_the_old_children_end(store: Store) -> None:
    one = await parent(store)
    old = await one.start_all(3)
    new = await one.spawn(digest=b"other")
    assert new.id != old.id
    assert await one.spawn(digest=b"other") == new
    swept = await one.children.sweep()
    assert swept is not None
    assert {move.id for move in swept.moved} == {old.child(n) for n in range(3)}


async def test_the_last_end_makes_the_parent_due_and_says_which_lane_to_ring(store: Store) -> None:
    one = await parent(store)
    await one.start_all(2)
    await one.park()
    first, last = await claimed(one.worker, one.lane, 2)
    moved = await one.worker.leaves.leave(done(first))
    assert moved is not None
    assert (moved.rings, await one.due()) == ((), False)
    moved = await one.worker.leaves.leave(done(last))
    assert moved is not None
    assert (moved.rings, await one.due()) == ((one.job.lane,), True)


async def test_children_that_ended_before_their_parent_parked_do_not_keep_it_waiting(store: Store) -> None:
    one = await parent(store)
    row = await one.start_all(1)
    (child,) = await claimed(one.worker, one.lane, 1)
    await one.worker.leaves.leave(done(child))
    await one.park()
    assert await one.due()
    (again,) = await claimed(one.worker, one.job.lane, 1)
    heir = Parent(store, one.worker, again, one.children)
    ended = await one.children.ends(await heir.spawn())
    assert ended is not None
    assert [(end.id, end.status, end.output) for end in ended] == [(row.child(0), Status.SUCCEEDED, b"1")]
    # Read once, they make it due no more: it waits for the next spawn.
    await heir.start_all(1, "t")
    await heir.park()
    assert not await heir.due()


async def test_no_race_between_end_and_park_leaves_the_parent_waiting(store: Store) -> None:
    for n in range(60):
        one = await parent(store)
        await one.start_all(3)
        ends = store.worker()
        children = await claimed(ends, one.lane, 3)
        pause = random.Random(n).random() * 0.01

        async def late(leave: Leave, worker: Worker = ends, pause: float = pause) -> None:
            await asyncio.sleep(pause)
            await worker.leaves.leave(leave)

        await asyncio.gather(one.park(), *(late(done(child)) for child in children))
        assert await one.due(), n


async def test_many_families_end_at_once_without_a_deadlock(store: Store) -> None:
    """Grandparents, parents and children in one lane, ended and parked by four workers in any order."""
    dice = random.Random(7)
    deadlocks = "select deadlocks from pg_stat_database where datname = current_database()"
    (before,) = await rows(store, deadlocks)
    families = [await parent(store, portion=50) for _ in range(8)]
    await asyncio.gather(*(one.start_all(40) for one in families))
    workers = [store.worker() for _ in range(4)]
    middle = [(worker, job) for one in families for worker in workers for job in await claimed(worker, one.lane, 10)]
    owners = [Parent(store, worker, job, Children(store.database, render, 50)) for worker, job in middle]
    young = dice.sample(owners, 40)
    await asyncio.gather(*(one.start_all(5) for one in young))
    await asyncio.gather(*(one.park() for one in families))
    grand = [(worker, job) for one in young for worker in workers[:1] for job in await claimed(worker, one.lane, 5)]
    leaves = [*middle, *grand]
    dice.shuffle(leaves)

    async def end(worker: Worker, job: Claimed) -> None:
        await asyncio.sleep(dice.random() * 0.3)
        if dice.random() < 0.2:
            await store.controls.cancel(PROJECT, job.id)
        await worker.leaves.leave(done(job))

    await asyncio.gather(*(end(worker, job) for worker, job in leaves))
    (after,) = await rows(store, deadlocks)
    assert after["deadlocks"] == before["deadlocks"]
    assert await rows(store, "select id from spawns where open <> 0 and parent_id = any($1::uuid[])", [
        one.job.id for one in (*families, *young)
    ]) == []  # fmt: skip
    assert all([await one.due() for one in families])


@pytest.mark.parametrize("how", ["canceled", "expired", "dead"])
async def test_every_end_is_counted(store: Store, how: str) -> None:
    deadline = datetime.now(UTC) + timedelta(seconds=1)
    one = await parent(store, **({"finish_by": deadline} if how == "expired" else {}))
    row = await one.start_all(1)
    await one.park()
    if how == "canceled":
        await store.controls.cancel(PROJECT, row.child(0))
    elif how == "expired":
        await asyncio.sleep(1.1)
        await store.controls.expire_due()
    else:
        await die_three_times(store, one.lane)
    assert await open_in(store, row) == 0
    (child,) = await rows(store, "select status from jobs where id = $1", row.child(0))
    assert child["status"] == {"dead": "failed"}.get(how, how)
    if how != "expired":
        assert await one.due()


async def die_three_times(store: Store, lane: str) -> None:
    for _ in range(3):
        worker = store.worker()
        await claimed(worker, lane, 1)
        await store.controls.recover([worker.id], died=True)


async def test_a_retried_child_is_waited_for_again(store: Store) -> None:
    one = await parent(store)
    row = await one.start_all(2)
    await one.park()
    await store.controls.cancel(PROJECT, row.child(0))
    await store.controls.retry(PROJECT, row.child(0), version=None, from_start=False)
    assert await open_in(store, row) == 2
    for job in await claimed(one.worker, one.lane, 2):
        assert not await one.due()
        await one.worker.leaves.leave(done(job))
    assert await one.due()


async def test_a_canceled_parent_takes_its_children_in_portions(store: Store) -> None:
    one = await parent(store)
    row = await one.start_all(25)
    running = await claimed(one.worker, one.lane, 4)
    await one.park()
    await store.controls.cancel(PROJECT, one.job.id)
    ended: list[UUID] = []
    told: list[UUID] = []
    portions = 0
    while (swept := await one.children.sweep()) is not None:
        portions += 1
        ended += [move.id for move in swept.moved]
        told += swept.told
    assert portions == 3
    assert sorted(told) == sorted(job.id for job in running)
    assert sorted([*ended, *told]) == sorted(row.child(n) for n in range(25))
    assert await open_in(store, row) == 4


async def test_one_process_sweeps_at_a_time(store: Store) -> None:
    one = await parent(store)
    await one.start_all(10)
    await one.park()
    await store.controls.cancel(PROJECT, one.job.id)
    swept = await asyncio.gather(*(one.children.sweep() for _ in range(6)))
    ended = [move.id for sweep in swept if sweep for move in sweep.moved]
    assert len(ended) == len(set(ended)) == 10


async def test_a_retry_stops_the_sweep_and_revives_what_it_took(store: Store) -> None:
    one = await parent(store)
    row = await one.start_all(25)
    await one.park()
    await store.controls.cancel(PROJECT, one.job.id)
    assert await one.children.sweep() is not None
    await store.controls.retry(PROJECT, one.job.id, version=None, from_start=False)
    assert await one.children.sweep() is None
    (again,) = await claimed(one.worker, one.job.lane, 1)
    heir = Parent(store, one.worker, again, one.children)
    found = await heir.spawn()
    assert (found.id, found.open, found.reviving) == (row.id, 15, True)
    assert await one.children.revive(again, found) == 10
    assert await heir.spawn() == SpawnRow(row.id, 25, 25, False)
    states = await rows(store, "select distinct status, attempt from jobs where parent_id = $1", one.job.id)
    assert [(state["status"], state["attempt"]) for state in states] == [("queued", 1)]


async def test_a_retry_from_the_start_leaves_the_old_children_behind(store: Store) -> None:
    one = await parent(store)
    old = await one.start_all(3)
    await one.park()
    await store.controls.cancel(PROJECT, one.job.id)
    await store.controls.retry(PROJECT, one.job.id, version=None, from_start=True)
    (again,) = await claimed(one.worker, one.job.lane, 1)
    new = await Parent(store, one.worker, again, one.children).spawn()
    assert (new.id == old.id, new.started) == (False, 0)
    swept = await one.children.sweep()
    assert swept is not None
    assert len(swept.moved) == 3


@pytest.mark.parametrize("how", ["settled", "dead", "expired"])
async def test_a_parent_that_fails_takes_its_children_and_a_retry_brings_them_back(store: Store, how: str) -> None:
    one = await parent(store)
    row = await one.start_all(3)
    if how == "settled":
        assert await one.worker.leaves.leave(failed(one.job)) is not None
    elif how == "dead":
        await one.park()
        await rows(store, "update jobs set due_at = now() where id = $1", one.job.id)
        await die_three_times(store, one.job.lane)
    else:
        await one.park()
        await rows(store, "update jobs set expire_by = now() where id = $1", one.job.id)
        await store.controls.expire_due()
    swept = await one.children.sweep()
    assert swept is not None
    assert len(swept.moved) == 3
    await store.controls.retry(PROJECT, one.job.id, version=None, from_start=False)
    (again,) = await claimed(one.worker, one.job.lane, 1)
    heir = Parent(store, one.worker, again, one.children)
    found = await heir.spawn()
    assert found == SpawnRow(row.id, 3, 0, True)
    assert await one.children.revive(again, found) == 3


async def test_a_spawn_that_was_read_and_recorded_is_forgotten(store: Store) -> None:
    one = await parent(store)
    row, other = await one.start_all(2), await one.start_all(1, "other")
    for job in await claimed(one.worker, one.lane, 3):
        await one.worker.leaves.leave(done(job))
    spawns = "select id from spawns where parent_id = $1 order by id"
    assert await one.children.ends(row) is not None
    assert await one.children.sweep() is None
    assert len(await rows(store, spawns, one.job.id)) == 2, "its outcomes may have been lost on their way"
    now = datetime.now(UTC)
    record = StepRecord("s", "", "spawn", StepStatus.SUCCEEDED, 1, DIGEST, b"[]", None, now, now, 1, "b" * 16)
    assert await one.worker.steps.write(one.job, StepWrite(record))
    assert await one.children.sweep() is None
    assert [found["id"] for found in await rows(store, spawns, one.job.id)] == [other.id]


async def test_a_retired_spawn_is_forgotten_once_its_children_have_ended(store: Store) -> None:
    one = await parent(store)
    old = await one.start_all(2)
    new = await one.spawn(digest=b"other")
    spawns = "select id from spawns where parent_id = $1 order by id"
    assert await one.children.sweep() is not None
    assert await one.children.sweep() is None
    assert [found["id"] for found in await rows(store, spawns, one.job.id)] == [new.id]
    assert old.id != new.id
