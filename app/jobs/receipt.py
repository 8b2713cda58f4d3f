"""A job's receipt: each call that it was charged for, what caches saved it, what it waited for, and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from app.domain import money
from app.domain.call import CallOutcome
from app.jobs.course import own_spans
from app.jobs.timeline import course_of
from app.jobs.view import time_view, usage_view
from app.store.ledger import Charged
from app.store.reads import TraceRows

_LIMITER = "limiter"
_WHY: Mapping[str, str] = {
    CallOutcome.SUCCEEDED: "the model answered",
    CallOutcome.INVALID: "the model's answer could not be used",
    CallOutcome.RATE_LIMITED: "the provider's rate limit refused it: nothing is charged",
    CallOutcome.LATE: "its step did not end, or was no longer its worker's: it is paid for all the same",
    CallOutcome.CACHED: "the answer was known: no call was made",
    CallOutcome.LOST: "its worker died before it could tell what it cost: it counts as what was set aside for it",
    CallOutcome.FOUND: "it was told of after all: what was counted for it as lost is taken back",
}


def receipt(found: TraceRows, charges: Sequence[Charged]) -> dict[str, Any]:
    """`{lines, waits, charged_usd, uncertain_usd, saved_usd, total}`.

    The lines sum up to the total but for late and lost calls, which the job never saw.
    """
    return {
        "lines": [_line(one) for one in charges],
        "waits": _waits(found, charges),
        "charged_usd": money.show(sum(one.cost_nanos for one in charges)),
        "uncertain_usd": money.show(sum(one.cost_nanos for one in charges if not one.price_known)),
        "saved_usd": money.show(sum(one.saved_nanos for one in charges)),
        "total": usage_view(found.job.usage),
    }


def _line(one: Charged) -> dict[str, Any]:
    return {
        "step": one.step,
        "key": one.step_key or None,
        "attempt": one.attempt,
        "provider": one.provider,
        "model": one.model,
        "outcome": one.outcome,
        "at": time_view(one.at),
        "input_tokens": one.input_tokens,
        "output_tokens": one.output_tokens,
        "cached_tokens": one.cached_tokens,
        "limiter_wait_s": round(one.limiter_wait_s, 3),
        "reserved_usd": money.show(one.reserved_nanos),
        "cost_usd": money.show(one.cost_nanos),
        "saved_usd": money.show(one.saved_nanos),
        "uncertain": not one.price_known,
        "why": _why(one),
    }


def _why(one: Charged) -> str:
    if one.outcome == CallOutcome.FAILED:
        return f"the call failed ({one.error_code or 'unknown'}): {_paid(one)}"
    known = one.price_known or not one.cost_nanos or one.outcome in (CallOutcome.LOST, CallOutcome.FOUND)
    return _WHY[one.outcome] + ("" if known else "; its price, or its count of tokens, is an estimate")


def _paid(one: Charged) -> str:
    if not one.cost_nanos:
        return "nothing is charged"
    if one.input_tokens:
        return "what came of the answer is charged"
    return "no answer came, and nobody knows whether it was charged: it counts as what it might have cost"


def _waits(found: TraceRows, charges: Sequence[Charged]) -> dict[str, float]:
    """Seconds by what was waited for, waits that have ended; `limiter` is the wait inside a slot for the provider."""
    waited: dict[str, float] = defaultdict(float)
    for span in own_spans(course_of(found)):
        if span.kind == "wait" and span.ended_at is not None:
            waited[span.name] += (span.ended_at - span.started_at).total_seconds()
    waited[_LIMITER] += sum(one.limiter_wait_s for one in charges)
    return {name: round(seconds, 3) for name, seconds in sorted(waited.items()) if seconds > 0}
