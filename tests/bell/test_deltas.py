"""Deltas on a real Valkey: to the watchers of their job, in order, few messages for many pieces, kept by nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from arq.connections import ArqRedis

from app.bell.answers import MOST_TEXT, Answers
from app.bell.deltas import DELTA
from app.bell.inbox import MOST_BYTES, Inbox, Note
from app.bell.recent import Recent
from app.bell.redis import open_redis
from app.bell.wake import Wake
from app.domain import ids
from app.engine.virtual import VirtualClock


@pytest.fixture
async def watcher(redis: ArqRedis) -> AsyncIterator[Wake]:
    """The end in an API process."""
    wake = Wake(redis)
    wake.start(jobs=True)
    async with asyncio.timeout(10):
        while not wake.connected:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    yield wake
    await wake.close()


async def taken(inbox: Inbox, count: int) -> list[Note]:
    """The next so many, and no more."""
    notes: list[Note] = []
    async with asyncio.timeout(10):
        while len(notes) < count:
            notes += await inbox.take(1)
    assert len(notes) == count
    return notes


async def test_each_job_has_its_own_watchers_and_order(worker: Wake, watcher: Wake) -> None:
    mine, other = ids.uuid7(), ids.uuid7()
    sent: list[tuple[str, Any]] = [("delta", {"text": str(n)}) for n in range(50)] + [
        ("reset", {"step": "s", "key": None, "answer": "a"})
    ]
    with watcher.watching(mine) as one, watcher.watching(mine) as two, watcher.watching(other) as three:
        for kind, data in sent:
            worker.delta(mine, kind, data)
            worker.delta(ids.uuid7(), kind, data)
            await asyncio.sleep(0.001)
        worker.delta(other, "delta", None)
        assert await taken(one, 51) == sent
        assert await taken(two, 51) == sent
        assert await taken(three, 1) == [("delta", None)]
        assert await one.take(0) == []


@pytest.mark.parametrize("data", ["a\x00b\nc\u2028", "\ud800", [1.5, {"a b": None}], {"": "\U0001f600"}, "x" * 60_000])
async def test_any_json_arrives_as_it_was_sent(worker: Wake, watcher: Wake, data: Any) -> None:
    job = ids.uuid7()
    with watcher.watching(job) as queue:
        worker.delta(job, "delta", data)
        assert await taken(queue, 1) == [("delta", data)]


async def test_pieces_that_come_together_travel_together(redis: ArqRedis, worker: Wake) -> None:
    """The first at once, the rest about each 30 ms: a second of 1,000 pieces for two jobs is some 35 messages."""
    jobs = [ids.uuid7(), ids.uuid7()]
    messages: list[str] = []
    async with redis.pubsub(ignore_subscribe_messages=True) as pubsub:
        await pubsub.subscribe(DELTA)
        await asyncio.sleep(0.1)
        end = asyncio.get_running_loop().time() + 1
        while asyncio.get_running_loop().time() < end:
            for job in jobs:
                worker.delta(job, "delta", "x")
            await asyncio.sleep(0.002)
        while (message := await pubsub.get_message(timeout=0.2)) or not messages:
            messages += [message["data"].decode()] if message else []
    assert 10 <= len(messages) <= 40
    assert {line.split()[0] for message in messages for line in message.split("\n")} == {job.hex for job in jobs}


async def test_what_a_job_said_comes_before_its_end(worker: Wake, watcher: Wake) -> None:
    job = ids.uuid7()
    with watcher.watching(job) as inbox, watcher.waiting(job, running=False) as moved:
        for n in range(10):
            worker.delta(job, "delta", n)
            await asyncio.sleep(0)
        worker.moved([job], running=True)
        worker.moved([job])
        async with asyncio.timeout(10):
            await moved.wait()
        assert (await taken(inbox, 11)) == [*(("delta", n) for n in range(10)), ("moved", True)]


async def test_nobody_waits_for_a_bell_that_is_away() -> None:
    away = open_redis("redis://127.0.0.1:1")
    worker, job = Wake(away), UUID(int=1)
    began = asyncio.get_running_loop().time()
    for n in range(100):
        worker.delta(job, "delta", n)
        await asyncio.sleep(0)
    assert asyncio.get_running_loop().time() - began < 0.5
    await worker.close()
    await away.aclose()


async def test_who_does_not_read_loses_only_his_own(worker: Wake, watcher: Wake) -> None:
    """What waits for him never takes more than its limit; then he hears again."""
    job, kilobyte = ids.uuid7(), "x" * 1000
    with watcher.watching(job) as lazy, watcher.watching(job) as eager:
        for n in range(2000):
            worker.delta(job, "delta", [n, kilobyte])
        worker.moved([job])
        told: list[Note] = []
        async with asyncio.timeout(10):
            while ("moved", True) not in told:
                told += await eager.take(1)
        late = await lazy.take(0)
        assert [data[0] for _, data in late[:-1]] == list(range(len(late) - 1))
        assert MOST_BYTES / 1400 < len(late) < MOST_BYTES / 1000
        assert late[-1] == ("moved", True), "a move always has room"
        worker.delta(job, "delta", "more")
        assert await taken(lazy, 1) == [("delta", "more")]


def piece(answer: str, at: int, text: str, step: str = "s") -> tuple[str, dict[str, Any]]:
    """A piece of a streamed answer."""
    return "piece", {"step": step, "key": None, "answer": answer, "at": at, "text": text}


async def test_who_comes_late_is_told_the_answers_so_far(worker: Wake, watcher: Wake) -> None:
    job = ids.uuid7()
    worker.start(jobs=False)
    async with asyncio.timeout(10):
        while not worker.connected:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    void = ("reset", {"step": "s", "key": None, "answer": "a"})
    for note in (piece("a", 0, "x"), void, piece("b", 0, "1"), piece("c", 0, "t", "t"), piece("b", 1, "2")):
        worker.delta(job, *note)
    await asyncio.sleep(0.1)
    with watcher.watching(job) as late:
        watcher.catch_up(job)
        assert await taken(late, 2) == [piece("b", 0, "12"), piece("c", 0, "t", "t")]
        worker.delta(job, *piece("b", 2, "3"))
        assert await taken(late, 1) == [piece("b", 2, "3")]
        worker.forget(job)
        watcher.catch_up(job)
        assert await late.take(0.3) == []


def test_answers_that_are_too_long_are_not_kept() -> None:
    answers = Answers()
    answers.note("j", *piece("a", 0, "x" * MOST_TEXT))
    answers.note("j", *piece("b", 0, "x", "t"))
    for n in range(1, 9):
        answers.note("j", *piece("b", n, "x" * MOST_TEXT, "t"))
    assert answers.so_far("j") == []
    assert sum(len("".join(texts)) for _, texts in answers._jobs["j"].answers.values()) <= MOST_TEXT + 1
    answers.note("j", "reset", piece("a", 0, "")[1])
    assert len(answers.so_far("j")) == 1


async def test_who_begins_just_after_it_began_misses_nothing(worker: Wake, watcher: Wake) -> None:
    job, other = ids.uuid7(), ids.uuid7()
    with watcher.watching(other) as heard:
        worker.delta(job, "delta", 1)
        worker.delta(job, "delta", 2)
        worker.moved([job])
        await asyncio.sleep(0.1)
        worker.delta(job, "delta", 3)
        worker.delta(other, "delta", "now")
        assert await taken(heard, 1) == [("delta", "now")]
    early: list[Note] = [("delta", 1), ("delta", 2), ("moved", True), ("delta", 3)]
    with watcher.watching(job, recent=True) as just_after, watcher.watching(job) as from_now:
        worker.delta(job, "delta", 4)
        assert await taken(just_after, 5) == [*early, ("delta", 4)]
        assert await taken(from_now, 1) == [("delta", 4)]


def test_what_was_heard_is_forgotten() -> None:
    clock = VirtualClock(datetime(2030, 1, 1, tzinfo=UTC))
    recent = Recent(clock)
    for n in range(100_000):
        recent.keep(f"{n % 7}", "x" * 300)
    kept = sum(len(recent.of(f"{n}")) for n in range(7))
    assert 4_000_000 / 600 < kept <= 4_000_000 / 500
    clock.move_to(clock.now() + timedelta(seconds=1))
    recent.keep("late", True)
    clock.move_to(clock.now() + timedelta(seconds=1.5))
    recent.keep("later", False)
    assert [recent.of(job) for job in ("0", "late", "later")] == [(), (True,), (False,)]
