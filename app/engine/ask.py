"""A model step: asks through the gateway, checks the answer, and has an unfit one repaired at most twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

from app.domain.errors import ProcessingError
from app.domain.step import Via
from app.engine import codec
from app.engine.policies import Cache
from app.engine.run import Run
from app.engine.schema import AnswerForm
from app.engine.work import CURRENT_STEP, Try
from app.gateway.budgets.reservation import Charge
from app.gateway.calls.request import Caching, Message, ModelAnswer, ModelRequest

Turn = Mapping[str, str] | tuple[str, str]
ROLES = ("system", "user", "assistant")
REPAIRS = 2
_CUT_OFF = frozenset({"length", "max_tokens"})
_SHOWN_ANSWER = 20_000


class UnfitAnswer(Exception):
    """The answer can't be taken; the message tells the model what to mend."""


@dataclass(frozen=True, slots=True)
class Question:
    """What one `ask` wants to know, and in which form; `key` names the question upstream."""

    alias: str
    messages: tuple[Message, ...]
    form: AnswerForm
    timeout_s: float | None
    max_cost_nanos: int | None
    key: str
    cache: Cache | None = None


class Listener(Protocol):
    """Hears an answer while it is written."""

    def begin(self) -> None:
        """An answer begins; one that had begun before is void."""
        ...

    def text(self, piece: str) -> None:
        """Its next piece."""
        ...


def turns(prompt: str | None, messages: Sequence[Turn] | None) -> tuple[Message, ...]:
    """The conversation to send. Raises ProcessingError unless exactly one of the two is given, and well formed."""
    if (prompt is None) == (messages is None):
        raise ProcessingError("ask takes either prompt= or messages=")
    if messages is None:
        return (Message("user", prompt or ""),)
    found = tuple(_message(turn) for turn in messages)
    if not found:
        raise ProcessingError("messages= is empty")
    return found


def given(prompt: str | None, conversation: tuple[Message, ...]) -> Any:
    """What the author asked with: the prompt, or the messages as `role` and `content`."""
    return [{"role": turn.role, "content": turn.content} for turn in conversation] if prompt is None else prompt


async def ask(run: Run, question: Question, one: Try, listener: Listener | None = None) -> Any:
    """The answer, validated. Raises Faults and MustWait of the gateway, ProcessingError `output_invalid`."""
    messages = question.messages
    for repair in range(REPAIRS + 1):
        check_cost(run, question.max_cost_nanos)
        request = _request(run, question, messages, one, repair)
        answer = await _answer(run, request, one, listener)
        if answer.stale_s is not None:
            one.came(Via.STALE)
        try:
            return _accepted(question, answer)
        except UnfitAnswer as unfit:
            one.unfit()
            reason = str(unfit)
            messages = (*question.messages, *_repair(answer, reason, question.form.schema is not None))
    raise ProcessingError(f"the answer did not fit after {REPAIRS} repairs: {reason}", code="output_invalid")


async def _answer(run: Run, request: ModelRequest, one: Try, listener: Listener | None) -> ModelAnswer:
    if listener is None:
        return await run.gateway.complete(request, one.note)
    listener.begin()
    return await run.gateway.complete(request, one.note, listener.text)


def _message(turn: Turn) -> Message:
    role, content = (turn.get("role"), turn.get("content")) if isinstance(turn, Mapping) else turn
    if role not in ROLES or not isinstance(content, str):
        raise ProcessingError(f"a message is a role ({', '.join(ROLES)}) and a content text, not role {role!r}")
    return Message(role, content)


def check_cost(run: Run, cap_nanos: int | None) -> None:
    """Raises ProcessingError `cost_cap_reached` once the job has used all that it may."""
    caps = [cap for cap in (run.max_cost_nanos, cap_nanos) if cap is not None]
    if caps and (run.usage + run.account.usage).cost_nanos >= min(caps):
        raise ProcessingError("the job has used all that max_cost_usd allows", code="cost_cap_reached")


def _request(run: Run, question: Question, messages: tuple[Message, ...], one: Try, repair: int) -> ModelRequest:
    return ModelRequest(
        alias=question.alias,
        messages=messages,
        schema=question.form.schema,
        schema_name=question.form.schema_name,
        max_output_tokens=None,
        timeout_s=question.timeout_s,
        trace=one.trace,
        idempotency_key=f"{question.key}-r{repair}" if repair else question.key,
        job_id=run.job_id,
        project_id=run.project_id,
        lane=run.lane,
        test_mode=run.test_mode,
        caching=Caching(question.cache.keeping, partial(_fits, question)) if question.cache else None,
        charge=charge_of(run),
        since=one.since,
        again=run.resumed or one.again,
    )


def charge_of(run: Run) -> Charge | None:
    """The run's, with the step that asks."""
    step = CURRENT_STEP.get()
    return run.charge if run.charge is None or step is None else replace(run.charge, step=step[0], step_key=step[1])


def _fits(question: Question, answer: ModelAnswer) -> bool:
    """Whether it can be taken as it is."""
    try:
        _accepted(question, answer)
    except (UnfitAnswer, ProcessingError):
        return False
    return True


def _accepted(question: Question, answer: ModelAnswer) -> Any:
    if answer.finish_reason in _CUT_OFF:
        raise UnfitAnswer("it was cut off before its end; answer more briefly")
    if answer.finish_reason == "content_filter":
        raise ProcessingError("the provider's content filter withheld the answer", code="provider_refused")
    try:
        return question.form.read(answer.text)
    except codec.NotRecordable as error:
        raise UnfitAnswer(str(error)) from None


def _repair(answer: ModelAnswer, reason: str, structured: bool) -> tuple[Message, Message]:
    wanted = "with nothing but JSON that fits the schema" if structured else "in full"
    return (
        Message("assistant", answer.text[:_SHOWN_ANSWER] or "(no text)"),
        Message("user", f"That answer can't be used: {reason}. Answer again, {wanted}."),
    )
