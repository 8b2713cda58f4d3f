"""What an HTTP status and a provider's error code mean for the job: one classification for all protocols."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from app.clients.base import WireError
from app.clients.retry_after import limit_reset_s, retry_after_s
from app.domain.errors import Fault, InputError, ProviderAuth, RateLimited, SystemFault, TransientError

CONTEXT_TOO_LONG = "context_length_exceeded"
# A 429 with one of these means never: the quota or the account is at its end.
NEVER = frozenset({
    "insufficient_quota", "quota_exceeded", "billing_hard_limit_reached", "billing_not_active", "billing_error",
    "insufficient_credits", "account_deactivated", "access_terminated",
})  # fmt: skip
_AUTH = frozenset({401, 402, 403})
_OVERLOADED = frozenset({408, 409, 425})
# Our address or model name is wrong: no job can do anything about it.
_MISCONFIGURED = frozenset({404, 405, 410, 415})
_WORD = re.compile(r"^[A-Za-z0-9_.\-]{1,64}$")
_TOO_LONG = ("context length", "context_length", "context window", "maximum context", "prompt is too long")


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """A provider's error as sent; nothing of it is trusted, `message` is read but never shown."""

    code: str | None = None
    kind: str | None = None
    message: str = ""


def refuse(provider: str, status: int, headers: Mapping[str, str], body: ErrorBody, now: datetime) -> WireError:
    """The classified error of an answer whose status is not 2xx."""
    words = _words(body)
    return WireError(_fault(status, headers, words, _detail(provider, status, words), now), status)


def _fault(status: int, headers: Mapping[str, str], words: list[str], detail: str, now: datetime) -> Fault:
    if status in _AUTH or (status == 429 and NEVER.intersection(words)):
        return ProviderAuth(detail)
    if status == 429:
        wait_s = retry_after_s(headers, now)
        return RateLimited(detail, retry_after_s=limit_reset_s(headers) if wait_s is None else wait_s)
    if status >= 500 or status in _OVERLOADED:
        return TransientError(detail, code="provider_unavailable", retry_after_s=retry_after_s(headers, now))
    if status < 400 or status in _MISCONFIGURED:
        return SystemFault(detail, code="provider_refused")
    return InputError(detail, code="provider_refused")


def _words(body: ErrorBody) -> list[str]:
    """The provider's code and type, only where they look like identifiers: free text may repeat a key or a prompt."""
    words = [word for word in (body.code, body.kind) if word and _WORD.match(word)]
    message = body.message.lower()
    if CONTEXT_TOO_LONG not in words and any(sign in message for sign in _TOO_LONG):
        words.insert(0, CONTEXT_TOO_LONG)
    return list(dict.fromkeys(words))


def _detail(provider: str, status: int, words: list[str]) -> str:
    named = f" ({', '.join(words)})" if words else ""
    return f"provider {provider} answered {status}{named}"
