"""The stream step: a model's answer item by item while it is written; only the complete answer is recorded."""

from __future__ import annotations

import asyncio
from typing import Any, Generic, TypeVar

from app.domain.job import Reason
from app.engine.ask import Question, ask
from app.engine.flow import Flow, ListFlow, TextFlow
from app.engine.policies import Policy
from app.engine.steps import Steps
from app.engine.suspension import Suspension
from app.engine.ways import ways_of_ask
from app.engine.work import Try, Work

T = TypeVar("T")


class Stream(Generic[T]):
    """Items as they arrive; in a later run, those of the record. Read once, by one reader."""

    def __init__(
        self, steps: Steps, identity: tuple[str, str], digest: bytes, policy: Policy, question: Question,
        given: Any,
    ) -> None:  # fmt: skip
        form = question.form
        self._steps = steps
        self._question = question
        self._flow = _flow(steps, identity, question)
        ways = ways_of_ask(steps.run, policy, question, given, self._flow)
        self._work: Work[Any] = Work(*identity, "stream", digest, policy, form.adapter, self._act, ways=ways)
        self._task: asyncio.Task[Any] | None = None
        self._over = False

    def __aiter__(self) -> Stream[T]:
        return self

    async def __anext__(self) -> T:
        """The next item. Raises what the step raises, once all that arrived before was taken."""
        while not self._flow.ready:
            if self._over:
                raise StopAsyncIteration
            await self._listen()
        item: T = self._flow.ready.popleft()
        return item

    async def aclose(self) -> None:
        """Hear no more of it; what arrived until now is paid for."""
        self._over = True
        self._flow.ready.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _listen(self) -> None:
        """Return once something has come of the answer."""
        if self._task is None:
            self._task = self._steps.background.start(self._steps.take(self._work))
            self._task.add_done_callback(lambda _: self._flow.arrived.set())
        if self._task.done():
            self._finish(self._task.result())
            return
        self._flow.arrived.clear()
        await self._flow.arrived.wait()

    def _finish(self, answer: Any) -> None:
        """Hand out the rest. Where the recorded answer is not what was heard, run again, over the record."""
        # A stream that is not critical and failed has no more than what was heard.
        rest = self._flow.rest(answer) if answer is not None else ()
        if rest is None:
            self._steps.suspensions.throw(Suspension(Reason.RETRY, self._steps.run.clock.now()))
        self._over = True
        for item in rest:
            self._flow.hand_out(item)

    async def _act(self, one: Try) -> Any:
        return await ask(self._steps.run, self._question, one, self._flow)


def _flow(steps: Steps, step: tuple[str, str], question: Question) -> Flow:
    def tell(kind: str, data: Any) -> None:
        steps.tell(steps.run.on_delta, kind, data)

    item = question.form.item
    return TextFlow(step, tell) if item is None else ListFlow(step, tell, item)
