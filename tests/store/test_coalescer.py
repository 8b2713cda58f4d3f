"""Group commit: who shares a flush, in which order, and what a bad item or a canceled caller does to the others."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from app.store.coalescer import Coalescer
from app.store.database import StoreAway

LINGER_S = 0.02


class Flush:
    """Notes each batch; `gate` holds flushes back; an item that is an exception fails its batch."""

    def __init__(self) -> None:
        self.batches: list[list[object]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.under_way = self.most_under_way = 0

    async def __call__(self, items: Sequence[object]) -> list[str]:
        self.batches.append(list(items))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await self.gate.wait()
            for item in items:
                if isinstance(item, Exception):
                    raise item
            return [f"done {item}" for item in items]
        finally:
            self.under_way -= 1


@pytest.fixture
def flush() -> Flush:
    return Flush()


@pytest.fixture
def coalesce(flush: Flush) -> Coalescer[object, str]:
    return Coalescer(flush, overlap=2, linger_s=LINGER_S, most=4)


async def test_what_arrives_together_shares_a_flush_in_order(flush: Flush, coalesce: Coalescer[object, str]) -> None:
    results = await asyncio.gather(*(coalesce(n) for n in (3, 1, 2)))
    assert results == ["done 3", "done 1", "done 2"]
    assert flush.batches == [[3, 1, 2]]


async def test_a_lone_item_goes_at_once(flush: Flush, coalesce: Coalescer[object, str]) -> None:
    began = asyncio.get_running_loop().time()
    assert await coalesce("x") == "done x"
    assert asyncio.get_running_loop().time() - began < LINGER_S


async def test_at_most_so_many_items_share_a_flush(flush: Flush, coalesce: Coalescer[object, str]) -> None:
    results = await asyncio.gather(*(coalesce(n) for n in range(10)))
    assert results == [f"done {n}" for n in range(10)]
    assert [len(batch) for batch in flush.batches] == [4, 4, 2]


async def test_two_flushes_overlap_and_a_third_waits(flush: Flush, coalesce: Coalescer[object, str]) -> None:
    flush.gate.clear()
    first = asyncio.ensure_future(coalesce("a"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    second = asyncio.ensure_future(coalesce("b"))
    await asyncio.sleep(LINGER_S * 2)
    others = [asyncio.ensure_future(coalesce(name)) for name in ("c", "d")]
    await asyncio.sleep(LINGER_S * 2)
    assert flush.batches == [["a"], ["b"]]
    flush.gate.set()
    assert await asyncio.gather(first, second, *others) == ["done a", "done b", "done c", "done d"]
    assert flush.batches[2:] == [["c", "d"]]
    assert flush.most_under_way == 2


async def test_a_poisonous_item_fails_alone(flush: Flush, coalesce: Coalescer[object, str]) -> None:
    poison = ValueError("poison")
    results = list(await asyncio.gather(coalesce(1), coalesce(poison), coalesce(2), return_exceptions=True))
    assert results == ["done 1", poison, "done 2"]
    assert flush.batches == [[1, poison, 2], [1], [poison], [2]]


async def test_a_lone_poisonous_item_is_tried_once(flush: Flush, coalesce: Coalescer[object, str]) -> None:
    poison = ValueError("poison")
    with pytest.raises(ValueError, match="poison"):
        await coalesce(poison)
    assert flush.batches == [[poison]]


async def test_an_unknown_outcome_is_everyones_and_is_not_repeated(
    flush: Flush, coalesce: Coalescer[object, str]
) -> None:
    away = StoreAway("gone in the middle of the commit")
    results = list(await asyncio.gather(coalesce(1), coalesce(away), return_exceptions=True))
    assert results == [away, away]
    assert len(flush.batches) == 1


async def test_a_canceled_caller_does_not_cancel_the_flush(flush: Flush, coalesce: Coalescer[object, str]) -> None:
    flush.gate.clear()
    leaver, stayer = asyncio.ensure_future(coalesce("leaver")), asyncio.ensure_future(coalesce("stayer"))
    await asyncio.sleep(LINGER_S)
    leaver.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaver
    flush.gate.set()
    assert await stayer == "done stayer"
    assert flush.batches == [["leaver", "stayer"]]


async def test_all_callers_canceled_the_flush_still_ends(flush: Flush, coalesce: Coalescer[object, str]) -> None:
    flush.gate.clear()
    callers = [asyncio.ensure_future(coalesce(n)) for n in range(2)]
    await asyncio.sleep(LINGER_S)
    for caller in callers:
        caller.cancel()
    await asyncio.gather(*callers, return_exceptions=True)
    flush.gate.set()
    await coalesce.drain()
    assert (flush.batches, flush.under_way) == ([[0, 1]], 0)
    assert await coalesce("later") == "done later"


async def test_nobody_is_forgotten_under_load(flush: Flush, coalesce: Coalescer[object, str]) -> None:
    async def caller(n: int) -> str:
        await asyncio.sleep(n % 7 * 0.001)
        return await coalesce(n)

    assert await asyncio.gather(*(caller(n) for n in range(500))) == [f"done {n}" for n in range(500)]
    assert sorted(item for batch in flush.batches for item in batch if isinstance(item, int)) == list(range(500))
    assert flush.most_under_way <= 2
