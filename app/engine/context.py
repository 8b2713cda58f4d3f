"""The context: what a workflow's function is given to reach the outside through steps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, TypeVarTuple, overload
from uuid import UUID

from app.domain.duration import seconds
from app.domain.errors import ProcessingError
from app.domain.job import Reason
from app.engine import codec
from app.engine.act import run_function
from app.engine.asking import Asking
from app.engine.children import ChildOutcome, Declaration
from app.engine.gather import gather
from app.engine.policies import DEFAULT, Policy
from app.engine.remember import remembered
from app.engine.spawn import spawn_work
from app.engine.tries import MOMENT
from app.engine.ways import ways_of_step
from app.engine.work import Try, Work, checked_delta, checked_identity, checked_policy, digest_of, misuse, stable_key

T = TypeVar("T")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")
T5 = TypeVar("T5")
I = TypeVar("I")  # noqa: E741
O = TypeVar("O")  # noqa: E741
Item = TypeVar("Item")
Ts = TypeVarTuple("Ts")


class Context(Asking):
    """One job as its workflow sees it. Everything that waits or touches the outside has a name here."""

    __slots__ = ()

    @property
    def job_id(self) -> UUID:
        """The job's id."""
        return self._steps.run.job_id

    @property
    def attempt(self) -> int:
        """The attempt that runs now, from 1."""
        return self._steps.run.attempt

    @overload
    async def step(
        self,
        name: str,
        fn: Callable[[*Ts], Coroutine[Any, Any, T]],
        *args: *Ts,
        key: str | int | None = None,
        policy: Policy | None = None,
    ) -> T: ...
    @overload
    async def step(
        self,
        name: str,
        fn: Callable[[*Ts], T],
        *args: *Ts,
        key: str | int | None = None,
        policy: Policy | None = None,
    ) -> T: ...
    async def step(
        self,
        name: str,
        fn: Callable[[*Ts], Any],
        *args: *Ts,
        key: str | int | None = None,
        policy: Policy | None = None,
    ) -> Any:
        """The result of `fn(*args)`, recorded: once it succeeded it never runs again, in any attempt.

        A sync function runs in a thread. Raises the step's failure as InputError, ProcessingError, TransientError
        or SystemFault; what is none of these becomes ProcessingError `workflow_error`.
        """
        name, key = checked_identity(name, key)
        policy = checked_policy((name, key), policy)
        try:
            adapter = codec.returned_by(fn)
        except codec.NotRecordable as error:
            raise misuse((name, key), f"can't be recorded: {error}") from None

        async def act(_: Try) -> Any:
            return await run_function(fn, args, policy.timeout_s)

        digest, ways = digest_of((name, key), *args), ways_of_step((name, key), policy, args)
        work: Work[Any] = Work(name, key, "step", digest, policy, adapter, act, ways=ways)
        return await self._steps.take(remembered(self._steps.run, work, fn))

    @overload
    async def enrich(
        self,
        name: str,
        fn: Callable[[*Ts], Coroutine[Any, Any, T]],
        *args: *Ts,
        key: str | int | None = None,
        policy: Policy | None = None,
    ) -> T | None: ...
    @overload
    async def enrich(
        self,
        name: str,
        fn: Callable[[*Ts], T],
        *args: *Ts,
        key: str | int | None = None,
        policy: Policy | None = None,
    ) -> T | None: ...
    async def enrich(
        self,
        name: str,
        fn: Callable[[*Ts], Any],
        *args: *Ts,
        key: str | int | None = None,
        policy: Policy | None = None,
    ) -> Any:
        """A step that the output can do without: None where it fails, and `degraded` tells the client.

        It is tried again later. Once it succeeds, the function runs again over its records, steps that depend on it run
        with its result, and the job has a new output and revision (`job.updated`). While its breaker is open it is left
        out at once.
        """
        lenient = replace(checked_policy(checked_identity(name, key), policy), critical=False)
        return await self.step(name, fn, *args, key=key, policy=lenient)

    @overload
    async def gather(self, one: Awaitable[T1], /) -> tuple[T1]: ...
    @overload
    async def gather(self, one: Awaitable[T1], two: Awaitable[T2], /) -> tuple[T1, T2]: ...
    @overload
    async def gather(self, one: Awaitable[T1], two: Awaitable[T2], three: Awaitable[T3], /) -> tuple[T1, T2, T3]: ...
    @overload
    async def gather(
        self, one: Awaitable[T1], two: Awaitable[T2], three: Awaitable[T3], four: Awaitable[T4], /
    ) -> tuple[T1, T2, T3, T4]: ...
    @overload
    async def gather(
        self,
        one: Awaitable[T1],
        two: Awaitable[T2],
        three: Awaitable[T3],
        four: Awaitable[T4],
        five: Awaitable[T5],
        /,
    ) -> tuple[T1, T2, T3, T4, T5]: ...
    @overload
    async def gather(self, *awaitables: Awaitable[T]) -> tuple[T, ...]: ...
    async def gather(self, *awaitables: Awaitable[Any]) -> tuple[Any, ...]:
        """The results of steps taken at once, in order. Waits for all, records all, then raises the first error."""
        return await gather(self._steps.suspensions, awaitables)

    @overload
    async def map(
        self,
        name: str,
        fn: Callable[[Item], Coroutine[Any, Any, T]],
        items: Iterable[Item],
        *,
        key: Callable[[Item], str | int],
        limit: int | None = None,
        policy: Policy | None = None,
    ) -> list[T]: ...
    @overload
    async def map(
        self,
        name: str,
        fn: Callable[[Item], T],
        items: Iterable[Item],
        *,
        key: Callable[[Item], str | int],
        limit: int | None = None,
        policy: Policy | None = None,
    ) -> list[T]: ...
    async def map(
        self,
        name: str,
        fn: Callable[[Item], Any],
        items: Iterable[Item],
        *,
        key: Callable[[Item], str | int],
        limit: int | None = None,
        policy: Policy | None = None,
    ) -> list[Any]:
        """A step for each item, named by `key(item)`, at most `limit` at once; the results in the items' order."""
        if limit is not None and limit < 1:
            raise ProcessingError(f"ctx.map: limit is at least 1, not {limit!r}")
        items = list(items)
        places = asyncio.Semaphore(limit or max(1, len(items)))

        async def one(item: Item) -> Any:
            async with places:
                return await self.step(name, fn, item, key=key(item), policy=policy)

        return list(await gather(self._steps.suspensions, [one(item) for item in items]))

    @overload
    async def spawn(
        self, name: str, workflow: str, inputs: Iterable[Any], key: str | int | None = None
    ) -> list[ChildOutcome[Any]]: ...
    @overload
    async def spawn(
        self,
        name: str,
        workflow: Declaration[I, O],
        inputs: Iterable[I | Mapping[str, Any]],
        key: str | int | None = None,
    ) -> list[ChildOutcome[O]]: ...
    async def spawn(
        self, name: str, workflow: Any, inputs: Iterable[Any], key: str | int | None = None
    ) -> list[ChildOutcome[Any]]:
        """A job for each input, at most 10,000; how they ended, in the inputs' order. Until then the slot is free.

        `workflow` is one of the catalogue, or its name: then outputs come as plain JSON. A failed child raises
        nothing: it is an outcome. A child's cost and limits are its own.
        """
        return await self._steps.take(spawn_work(self._steps.run, checked_identity(name, key), workflow, inputs))

    async def sleep(self, name: str, duration: str | float) -> None:
        """Wait that long, freeing the slot; the wake-up time is recorded, so no restart prolongs it."""
        length_s = _length_s(name, duration)
        until = self._steps.run.clock.now() + timedelta(seconds=length_s)
        await self._wait(name, length_s, until)

    async def wait_until(self, name: str, when: datetime) -> None:
        """Wait until that time (aware), freeing the slot."""
        if not isinstance(when, datetime) or when.tzinfo is None:
            raise misuse((name, ""), "waits until a time without a zone: give an aware datetime")
        await self._wait(name, when.astimezone(UTC), when.astimezone(UTC))

    def idempotency_key(self, name: str, key: str | int | None = None) -> str:
        """A key for an outside write, the same in every attempt of this job: the other side drops the second."""
        name, key = checked_identity(name, key)
        return stable_key(self.job_id, (name, key))

    def progress(self, percent: int, step: str | None = None) -> None:
        """Tell the client how far the job is: 0 to 100, and what it is doing."""
        if not 0 <= percent <= 100:
            raise ProcessingError(f"ctx.progress takes a percentage from 0 to 100, not {percent!r}")
        named = None if step is None else checked_identity(step, None)[0]
        self._steps.tell(self._steps.run.on_progress, int(percent), named)

    def emit(self, delta: Any) -> None:
        """Send streaming clients a piece of what comes: JSON of up to 64 kB, neither recorded nor kept for anybody.

        What is emitted between two steps may be sent again when the job is resumed there.
        """
        self._steps.tell(self._steps.run.on_delta, "delta", checked_delta(delta))

    async def _wait(self, name: str, asked: Any, until: datetime) -> None:
        name, key = checked_identity(name, None)

        async def act(_: Try) -> datetime:
            return until

        work = Work(name, key, "wait", digest_of((name, key), asked), DEFAULT, MOMENT, act)
        await self._steps.hold(await self._steps.take(work), Reason.SLEEP)


def _length_s(name: str, duration: str | float) -> float:
    try:
        return seconds(duration)
    except ValueError as error:
        raise misuse((name, ""), f"sleeps for a time that can't be read: {error}") from None
