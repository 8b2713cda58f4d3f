"""A gateway that answers from a script, by step: for tests of workflows without any provider."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_jsonable_python

from app.domain import canonical, ids
from app.domain.call import Call, CallOutcome
from app.domain.clock import Clock
from app.engine.work import CURRENT_STEP, shown
from app.gateway.calls.request import ModelAnswer, ModelRequest

# Replies by step name (str) or by name and key (tuple): keys of a Mapping are invariant, so mypy gets no more than Any.
Replies = Mapping[Any, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply in full: what the model says, why it stopped, what the call used (money in nano-dollars).

    `cut` breaks it off with that exception; of a stream, half of the text arrives before.
    """

    content: Any
    finish_reason: str = "stop"
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nanos: int = 0
    cut: BaseException | None = None


class MissingReply(BaseException):
    """The test gives no reply for a model step. Not an Exception: a workflow can't take it for the model's failure."""


class ScriptedGateway:
    """Replies by step name or (name, key): a dict, model, text, Reply or exception, or a list of successive ones.

    A reply that is itself a list stands in a Reply.
    """

    def __init__(self, replies: Replies, clock: Clock) -> None:
        self._replies: dict[Any, Any] = {
            step: iter(reply) if isinstance(reply, list) else reply for step, reply in replies.items()
        }
        self._clock = clock

    async def complete(
        self,
        request: ModelRequest,
        record: Callable[[Call], None],
        on_text: Callable[[str], None] | None = None,
    ) -> ModelAnswer:
        """The next reply of the step that asks. Raises the reply when it is an exception, MissingReply for none."""
        step = CURRENT_STEP.get() or ("", "")
        found = self._next(step)
        reply = found if isinstance(found, Reply) else Reply(found)
        if request.texts and not isinstance(reply.content, BaseException):
            vectors = _vectors(step, reply.content)
            record(self._call(request, CallOutcome.SUCCEEDED, reply))
            return ModelAnswer("", "stop", vectors=vectors)
        text, failure = _said(reply)
        outcome = CallOutcome.FAILED
        try:
            if on_text is not None:
                await _say(text, on_text)
            outcome = CallOutcome.FAILED if failure else CallOutcome.SUCCEEDED
        finally:
            record(self._call(request, outcome, reply))
        if failure is not None:
            raise failure
        return ModelAnswer(text, reply.finish_reason)

    def _next(self, step: tuple[str, str]) -> Any:
        found = self._replies.get(step, self._replies.get(step[0], _ABSENT))
        if found is _ABSENT:
            raise MissingReply(f"step {shown(step)!r} asks a model: give it a reply, replies={{{step[0]!r}: ...}}")
        if not hasattr(found, "__next__"):
            return found
        for reply in found:
            return reply
        raise MissingReply(f"step {shown(step)!r} asks once more than replies={{{step[0]!r}: [...]}} has replies")

    def _call(self, request: ModelRequest, outcome: CallOutcome, reply: Reply) -> Call:
        now = self._clock.now()
        return Call(
            id=ids.uuid7(),
            provider="replies",
            model=request.alias,
            pool="replies",
            outcome=outcome,
            error_code=None,
            http_status=None,
            input_tokens=reply.input_tokens,
            output_tokens=reply.output_tokens,
            cached_tokens=0,
            cost_nanos=reply.cost_nanos,
            price_known=True,
            limiter_wait_s=0.0,
            started_at=now,
            ended_at=now,
            span_id=ids.span_id(),
            request=None,
            answer=None,
        )


_ABSENT = object()
_PIECE = 5


async def _say(text: str, on_text: Callable[[str], None]) -> None:
    """Piece by piece, as a model writes."""
    for start in range(0, len(text), _PIECE):
        on_text(text[start : start + _PIECE])
        await asyncio.sleep(0)


def _vectors(step: tuple[str, str], content: Any) -> tuple[tuple[float, ...], ...]:
    """Those of a reply. Raises MissingReply where it holds none."""
    if not isinstance(content, list | tuple) or not all(isinstance(one, list | tuple) for one in content):
        example = f"replies={{{step[0]!r}: Reply([[0.5, 1.0], ...])}}"
        raise MissingReply(f"step {shown(step)!r} embeds: its reply is a vector for each text, {example}")
    return tuple(map(tuple, content))


def _said(reply: Reply) -> tuple[str, BaseException | None]:
    """The text that comes, and what then breaks it off."""
    if isinstance(reply.content, BaseException):
        return "", reply.content
    text = _text(reply.content)
    return (text, None) if reply.cut is None else (text[: len(text) // 2], reply.cut)


def _text(reply: Any) -> str:
    return reply if isinstance(reply, str) else canonical.dump(to_jsonable_python(reply, by_alias=True)).decode()
