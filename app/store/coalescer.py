"""Group commit: work that arrives at about the same moment shares one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from app.store.database import StoreAway

Item = TypeVar("Item")
Result = TypeVar("Result")


class Coalescer(Generic[Item, Result]):
    """Joins single items into flushes; `flush` gets a list and answers a list in the same order.

    The first item goes at once. While one flush is under way the next waits `linger_s` for company, and at most
    `overlap` flushes run, so under load the commit of one hides behind the work of the other. A flush that fails is
    repeated item by item once, so that one bad row does not take its neighbours down. A caller that is canceled does
    not cancel the flush.
    """

    def __init__(
        self,
        flush: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        *,
        overlap: int = 2,
        linger_s: float = 0.002,
        most: int = 500,
    ) -> None:
        self._flush = flush
        self._overlap = overlap
        self._linger_s = linger_s
        self._most = most
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._under_way: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def __call__(self, item: Item) -> Result:
        """The flush's answer for this item. Raises what the flush raised for it."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        self._schedule()
        return await future

    async def drain(self) -> None:
        """Wait until nothing is under way."""
        while self._under_way:
            await asyncio.wait(set(self._under_way))

    def _schedule(self) -> None:
        if self._timer is None and self._waiting and len(self._under_way) < self._overlap:
            delay = self._linger_s if self._under_way else 0
            self._timer = asyncio.get_running_loop().call_later(delay, self._start)

    def _start(self) -> None:
        self._timer = None
        if not self._waiting:
            return
        batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
        task = asyncio.get_running_loop().create_task(self._run(batch))
        self._under_way.add(task)
        task.add_done_callback(self._ended)
        self._schedule()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if self._timer is not None and not self._under_way:
            self._timer.cancel()
            self._timer = None
        self._schedule()

    async def _run(self, batch: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            results = await self._flush([item for item, _ in batch])
        except StoreAway as error:
            # The outcome is unknown; whoever asked must find out by key or by fence.
            _fail(batch, error)
        except Exception as error:
            await self._apart(batch, error)
        else:
            for (_, future), result in zip(batch, results, strict=True):
                if not future.done():
                    future.set_result(result)

    async def _apart(self, batch: list[tuple[Item, asyncio.Future[Result]]], error: Exception) -> None:
        if len(batch) == 1:
            _fail(batch, error)
            return
        for pair in batch:
            await self._run([pair])


def _fail(batch: list[tuple[Item, asyncio.Future[Result]]], error: Exception) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)
