"""One call on the books: the record for the ledger and the span for the trace, however it ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from app.clients.base import TokenUsage, WireAnswer
from app.domain import canonical, money
from app.domain.call import Call, CallOutcome
from app.domain.job import TraceContext
from app.domain.spans import limiter_span_id
from app.gateway.budgets.prices import Cost
from app.gateway.budgets.reservation import Reservation
from app.gateway.calls.request import ModelRequest
from app.gateway.calls.routes import Target
from app.telemetry import names
from app.telemetry.traces import SpanRecord

# A wait for the limiter as long as this is a span of its own; a shorter one is the way to Redis.
SHOWN_WAIT_S = 0.05
# A rough size of a token in bytes, for an answer that came without a count.
_BYTES_PER_TOKEN = 4
# How a question for embeddings begins: canonical JSON sorts its names.
_EMBEDS = b'{"input":'
# Operations as OpenTelemetry's conventions call them.
CHAT, EMBEDDINGS = "chat", "embeddings"


@dataclass(frozen=True, slots=True)
class Sent:
    """A call that is about to go out, under the id for which money is held; its answer may have so many tokens."""

    held: Reservation
    target: Target
    trace: TraceContext
    waited_s: float
    started_at: datetime
    request: bytes
    expected_output: int

    @property
    def id(self) -> UUID:
        """The call's id."""
        return self.held.call_id


@dataclass(frozen=True, slots=True)
class Ended:
    """How it ended. `error_code` is None for a success."""

    at: datetime
    outcome: CallOutcome
    error_code: str | None
    status: int | None
    usage: TokenUsage
    cost: Cost
    answer: bytes | None


def request_bytes(model: str, request: ModelRequest) -> bytes:
    """The question as stored, the same for every protocol. Raises TypeError for a schema that is no JSON."""
    if request.texts:
        return canonical.dump({"model": model, "input": list(request.texts)})
    asked = {
        "model": model,
        "messages": [{"role": message.role, "content": message.content} for message in request.messages],
        "schema": request.schema,
        "max_output_tokens": request.max_output_tokens,
    }
    return canonical.dump({name: value for name, value in asked.items() if value is not None})


def answer_bytes(answer: WireAnswer) -> bytes:
    """The answer as stored, the same for every protocol. Vectors stand in the step's record."""
    if answer.vectors:
        return canonical.dump({"vectors": len(answer.vectors)})
    return canonical.dump({"text": answer.text, "finish_reason": answer.finish_reason})


def input_tokens(request: bytes) -> int:
    """The tokens of a question, before anybody has counted them."""
    return len(request) // _BYTES_PER_TOKEN + 1


def estimated(request: bytes, answer: bytes) -> TokenUsage:
    """Tokens of an answer that came without a count: never free, and never called known."""
    return TokenUsage(input_tokens(request), len(answer) // _BYTES_PER_TOKEN + 1)


def call_record(sent: Sent, ended: Ended) -> Call:
    """The call as the ledger keeps it."""
    return Call(
        id=sent.id,
        provider=sent.target.provider,
        model=sent.target.model,
        pool=sent.target.pool.name,
        outcome=ended.outcome,
        error_code=ended.error_code,
        http_status=ended.status,
        input_tokens=ended.usage.input,
        output_tokens=ended.usage.output,
        cached_tokens=ended.usage.cached,
        cost_nanos=ended.cost.nanos,
        price_known=ended.cost.known,
        limiter_wait_s=sent.waited_s,
        started_at=sent.started_at,
        ended_at=ended.at,
        span_id=sent.trace.span_id,
        request=sent.request,
        answer=ended.answer,
        reserved_nanos=sent.held.nanos if sent.held.caps else 0,
    )


def operation(request: bytes | None) -> str:
    """What a call is for, by its question as stored: `gen_ai.operation.name` of OpenTelemetry's conventions."""
    return EMBEDDINGS if request is not None and request.startswith(_EMBEDS) else CHAT


def call_name(model: str, request: bytes | None) -> str:
    """The name of a call's span."""
    return f"{operation(request)} {model}"


def wait_span(sent: Sent) -> SpanRecord | None:
    """The wait for the limiter before the call, beside it in its step; None where it is not worth a span."""
    if sent.waited_s < SHOWN_WAIT_S:
        return None
    place = TraceContext(sent.trace.trace_id, limiter_span_id(sent.id), sent.trace.parent_span_id)
    start = sent.started_at - timedelta(seconds=sent.waited_s)
    return SpanRecord("wait", "limiter", place, start, sent.started_at, {names.LIMITER_WAIT_S: sent.waited_s})


def call_span(sent: Sent, ended: Ended) -> SpanRecord:
    """The call as a client span, without prompt or answer."""
    attributes: dict[str, str | int | float | bool] = {
        names.GEN_AI_OPERATION: operation(sent.request),
        names.GEN_AI_PROVIDER: sent.target.provider,
        names.GEN_AI_MODEL: sent.target.model,
        names.GEN_AI_INPUT_TOKENS: ended.usage.input,
        names.GEN_AI_OUTPUT_TOKENS: ended.usage.output,
        names.COST_USD: money.show(ended.cost.nanos),
        names.LIMITER_WAIT_S: sent.waited_s,
    }
    if ended.status is not None:
        attributes[names.HTTP_STATUS] = ended.status
    if ended.error_code is not None:
        attributes[names.ERROR_TYPE] = ended.error_code
    name = call_name(sent.target.model, sent.request)
    return SpanRecord("call", name, sent.trace, sent.started_at, ended.at, attributes, ended.error_code)
