"""What an HTTP status and a provider's error code mean for the job: one classification for all protocols."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from app.clients.base import LimitHints, WireError
from app.clients.limits import hints_of, label_of
from app.clients.retry_after import limit_reset_s, retry_after_s
from app.domain.errors import Fault, InputError, ProviderAuth, RateLimited, SystemFault, TransientError

CONTEXT_TOO_LONG = "context_length_exceeded"
CREDIT_TOO_LOW = "credit_balance_too_low"
SPEND_LIMIT = "enforced_spend_limit_reached"
# One of these means never, whatever the status: the quota or the account is at its end.
NEVER = frozenset({
    "insufficient_quota", "quota_exceeded", "billing_hard_limit_reached", "billing_not_active", "billing_error",
    "insufficient_credits", "account_deactivated", "access_terminated", "organization_on_hold",
    CREDIT_TOO_LOW, SPEND_LIMIT, "contract_spend_limit_reached", "linked_organization_spend_limit_reached",
    "linked_organization_billing_unavailable", "user_profile_not_billable", "user_profile_billing_not_authorized",
})  # fmt: skip
_AUTH = frozenset({401, 402, 403})
_OVERLOADED = frozenset({408, 409, 425})
# Our address or model name is wrong: no job can do anything about it.
_MISCONFIGURED = frozenset({404, 405, 410, 415})
_WORD = re.compile(r"^[A-Za-z0-9_.\-]{1,64}$")
_TOO_LONG = ("context length", "context_length", "context window", "maximum context", "prompt is too long")
# Anthropic says these in words only, in a plain 400; only at the beginning, where no echo of a prompt can stand.
_BEGINNINGS = {"your credit balance is too low": CREDIT_TOO_LOW, "you have reached your specified": SPEND_LIMIT}
# The status that an error in the middle of a stream would have had; the HTTP status is 200 by then.
_STATUS_OF = {
    "invalid_request_error": 400, CONTEXT_TOO_LONG: 400, "authentication_error": 401, "invalid_api_key": 401,
    "billing_error": 402, "permission_error": 403, "not_found_error": 404, "model_not_found": 404,
    "request_too_large": 413, "rate_limit_error": 429, "rate_limit_exceeded": 429, "insufficient_quota": 429,
    "api_error": 500, "server_error": 500, "timeout_error": 504, "overloaded_error": 529,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """A provider's error as sent; nothing of it is trusted, `message` is read but never shown."""

    code: str | None = None
    kind: str | None = None
    message: str = ""


def refuse(provider: str, status: int, headers: Mapping[str, str], body: ErrorBody, now: datetime) -> WireError:
    """The classified error of an answer whose status is not 2xx."""
    words = _words(body)
    wait_s = retry_after_s(headers, now)
    if wait_s is None and status == 429:
        wait_s = limit_reset_s(headers, now)
    named = [word for word in words if word != str(status)]
    fault = _fault(status, words, _detail(f"provider {provider} answered {status}", named), wait_s)
    return WireError(fault, status, hints=_hints(fault, headers, body, now))


def break_off(provider: str, body: ErrorBody) -> WireError:
    """The classified error that a provider sent in the middle of a stream; one that it doesn't name is its own."""
    words = _words(body)
    status = next((found for word in words if (found := _status_of(word))), 500)
    return WireError(_fault(status, words, _detail(f"provider {provider} broke off its answer", words), None), 200)


def _hints(fault: Fault, headers: Mapping[str, str], body: ErrorBody, now: datetime) -> LimitHints:
    hints = hints_of(headers, now)
    if not isinstance(fault, RateLimited):
        return hints
    words = [word for word in (body.code, body.kind) if word]
    return replace(hints, label=label_of(words, body.message, headers))


def _fault(status: int, words: list[str], detail: str, wait_s: float | None) -> Fault:
    if status in _AUTH or (400 <= status < 500 and NEVER.intersection(words)):
        return ProviderAuth(detail)
    if status == 429:
        return RateLimited(detail, retry_after_s=wait_s)
    if status >= 500 or status in _OVERLOADED:
        return TransientError(detail, code="provider_unavailable", retry_after_s=wait_s)
    if status < 400 or status in _MISCONFIGURED:
        return SystemFault(detail, code="provider_refused")
    return InputError(detail, code="provider_refused")


def _words(body: ErrorBody) -> list[str]:
    """The provider's code and type, only where they look like identifiers: free text may repeat a key or a prompt."""
    words = [word for word in (body.code, body.kind) if word and _WORD.match(word)]
    message = body.message.lower()
    told = [CONTEXT_TOO_LONG] if any(sign in message for sign in _TOO_LONG) else []
    told += [word for beginning, word in _BEGINNINGS.items() if message.startswith(beginning)]
    return list(dict.fromkeys([*told, *words]))


def _status_of(word: str) -> int | None:
    """The status that an error's word stands for; some servers give the number itself."""
    if word.isascii() and word.isdigit() and len(word) == 3:
        return int(word) if "400" <= word <= "599" else None
    return _STATUS_OF.get(word)


def _detail(what: str, words: list[str]) -> str:
    return f"{what} ({', '.join(words)})" if words else what
