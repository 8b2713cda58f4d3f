"""What a pool learns from the end of a call: an answer or an error of its client, as the rate controller takes it."""

from __future__ import annotations

import math

from app.clients.base import WireAnswer, WireError
from app.domain.errors import ProviderAuth, RateLimited
from app.gateway.pools.pool import NO_CONNECTION, TIMED_OUT, CallResult

_TOO_MANY, _NO_CREDIT, _BROKEN = 429, 402, 502


def after_answer(answer: WireAnswer, took_s: float, slow_s: float = math.inf) -> CallResult:
    """A whole answer; the tokens are those that the provider counted. One that took longer than `slow_s` is slow."""
    used = answer.usage.input + answer.usage.output if answer.usage else None
    return CallResult(answer.status, took_s, used, hints=answer.hints, slow=took_s > slow_s)


def after_error(error: WireError, took_s: float) -> CallResult:
    """No whole answer. A quota at its end is no limit; an answer that broke off was one of the provider's failures."""
    used = error.usage.input + error.usage.output if error.usage else None
    refused = isinstance(error.fault, ProviderAuth)
    return CallResult(_status(error), took_s, used, error.fault.retry_after_s, error.hints, refused=refused)


def _status(error: WireError) -> int:
    if isinstance(error.fault, RateLimited):
        return _TOO_MANY
    if error.fault.code == "provider_timeout":
        return TIMED_OUT
    if error.status is None:
        return NO_CONNECTION
    if error.status == _TOO_MANY:
        return _NO_CREDIT
    return _BROKEN if error.status < 300 else error.status
