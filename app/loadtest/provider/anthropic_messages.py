"""The Anthropic Messages dialect: its answers, errors and limit headers."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from app.loadtest.provider.anthropic_events import event, message_events, message_of
from app.loadtest.provider.anthropic_request import read_request
from app.loadtest.provider.dialect import Ask, Events, Headers, Refusal, Reply, retry_after
from app.loadtest.provider.limit import Standing

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
# Said in another status or in other words than OpenAI's; nothing but the message tells the first from a bad request.
_OWN_WORDS = {
    "insufficient_quota": (400, "Your credit balance is too low to access the API (simulated)."),
    "context_length_exceeded": (400, "prompt is too long (simulated)"),
    "invalid_api_key": (401, "invalid x-api-key"),
}


class AnthropicMessages:
    """Reads and writes Messages: text, structured output, and forced tools."""

    name = "anthropic"

    def key(self, headers: Mapping[bytes, bytes]) -> str | None:
        own = headers.get(b"x-api-key")
        if own is not None:
            return own.decode("latin-1").strip()
        scheme, _, key = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        return key.strip() if scheme.lower() == "bearer" else None

    def read(self, headers: Mapping[bytes, bytes], body: bytes) -> Ask:
        return read_request(headers, body)

    def reply(self, ask: Ask, reply: Reply) -> bytes:
        return orjson.dumps(message_of(ask, reply))

    def events(self, ask: Ask, reply: Reply) -> Events:
        return message_events(ask, reply)

    def own(self, refusal: Refusal) -> Refusal:
        status, message = _OWN_WORDS.get(refusal.outcome, (refusal.status, refusal.message))
        return replace(refusal, status=status, message=message, type=_TYPES.get(status, "api_error"))

    def error(self, refusal: Refusal) -> bytes:
        return orjson.dumps(_error(refusal))

    def error_event(self, refusal: Refusal) -> bytes:
        return event("error", _error(refusal))

    def limit_headers(self, standings: list[Standing], wait_s: float | None) -> Headers:
        now = datetime.now(UTC)
        announced = tuple(header for standing in standings for header in _standing_headers(standing, now))
        return announced + retry_after(wait_s)


def _error(refusal: Refusal) -> dict[str, Any]:
    return {"type": "error", "error": {"type": refusal.type, "message": refusal.message}}


def _standing_headers(standing: Standing, now: datetime) -> Headers:
    name = b"anthropic-ratelimit-" + standing.dimension.encode()
    reset = (now + timedelta(seconds=standing.reset_s)).isoformat(timespec="seconds").replace("+00:00", "Z")
    return (
        (name + b"-limit", b"%d" % standing.limit),
        (name + b"-remaining", b"%d" % standing.remaining),
        (name + b"-reset", reset.encode()),
    )
