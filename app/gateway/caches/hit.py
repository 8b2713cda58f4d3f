"""A known answer on the books: a call that was not made, cost nothing, and says what it saved."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.clients.base import WireAnswer
from app.domain import ids, money
from app.domain.call import Call, CallOutcome
from app.domain.job import TraceContext
from app.gateway.calls.booking import answer_bytes, call_name, operation, request_bytes
from app.gateway.calls.request import ModelAnswer, ModelRequest
from app.telemetry import names
from app.telemetry.traces import SpanRecord

# Stands where a call names the pool that it counted in.
FRESH, STALE = "cache", "cache (stale)"


@dataclass(frozen=True, slots=True)
class Hit:
    """A known answer, the provider and model that once gave it, and what that cost in nano-dollars."""

    answer: ModelAnswer
    provider: str
    model: str
    cost_nanos: int


def hit_call(request: ModelRequest, hit: Hit, trace: TraceContext, now: datetime) -> Call:
    """As the ledger keeps it."""
    answer = hit.answer
    return Call(
        id=ids.uuid7(),
        provider=hit.provider,
        model=hit.model,
        pool=FRESH if answer.stale_s is None else STALE,
        outcome=CallOutcome.CACHED,
        error_code=None,
        http_status=None,
        input_tokens=0,
        output_tokens=0,
        cached_tokens=0,
        cost_nanos=0,
        price_known=True,
        limiter_wait_s=0.0,
        started_at=now,
        ended_at=now,
        span_id=trace.span_id,
        request=request_bytes(hit.model, request),
        answer=answer_bytes(WireAnswer(answer.text, answer.finish_reason, None, 200)),
        saved_nanos=hit.cost_nanos,
    )


def hit_span(call: Call, trace: TraceContext) -> SpanRecord:
    """As a client's span, without question or answer."""
    attributes: dict[str, str | int | float | bool] = {
        names.GEN_AI_OPERATION: operation(call.request),
        names.GEN_AI_PROVIDER: call.provider,
        names.GEN_AI_MODEL: call.model,
        names.COST_USD: money.show(0),
        names.STATUS: call.outcome,
    }
    return SpanRecord("call", call_name(call.model, call.request), trace, call.started_at, call.ended_at, attributes)
