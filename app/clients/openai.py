"""The OpenAI Chat Completions protocol, as OpenAI and compatible servers speak it."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import httpx

from app.clients.base import TokenUsage, WireAnswer, WireRequest
from app.clients.http import HttpAnswer, broken, post_json
from app.clients.refusal import ErrorBody, refuse
from app.domain import canonical
from app.domain.clock import SYSTEM_CLOCK, Clock
from app.settings import ProviderSettings

_OWN_HOSTS = (".openai.com", ".openai.azure.com")
_MAX_TOKENS = 1 << 31
_NO_NAME = re.compile(r"[^A-Za-z0-9_-]")
_HEADER = re.compile(r"^[\x21-\x7e]{1,255}$")


class OpenAIClient:
    """One provider behind this protocol. `name` is the provider's, for messages."""

    def __init__(
        self, name: str, settings: ProviderSettings, http: httpx.AsyncClient, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._name = name
        self._http = http
        self._clock = clock
        self._url = httpx.URL(f"{settings.base_url.rstrip('/')}/chat/completions")
        key = settings.api_key.get_secret_value() if settings.api_key else None
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        # OpenAI's newer models refuse `max_tokens`; many compatible servers silently ignore the newer name.
        own = f".{self._url.host}".endswith(_OWN_HOSTS)
        self._limit_field = "max_completion_tokens" if own else "max_tokens"

    async def complete(self, call: WireRequest) -> WireAnswer:
        """The model's answer. Raises WireError."""
        headers = {
            **self._headers,
            "traceparent": call.traceparent,
            "Idempotency-Key": _header(call.idempotency_key),
        }
        body = canonical.dump(self._body(call))
        answer = await post_json(self._http, self._url, headers, body, call.timeout_s, call.max_answer_bytes)
        if not 200 <= answer.status < 300:
            raise refuse(self._name, answer.status, answer.headers, _error_body(answer.body), self._clock.now())
        return _answer(answer)

    def _body(self, call: WireRequest) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": call.model,
            "messages": [{"role": role, "content": content} for role, content in call.messages],
        }
        if call.schema is not None:
            body["response_format"] = _response_format(call.schema, call.schema_name)
        if call.max_output_tokens is not None:
            body[self._limit_field] = call.max_output_tokens
        return body


def _response_format(schema: dict[str, Any], name: str | None) -> dict[str, Any]:
    named = _NO_NAME.sub("_", name or "answer")[:64] or "answer"
    return {"type": "json_schema", "json_schema": {"name": named, "schema": schema, "strict": fits_strict(schema)}}


def fits_strict(schema: Any) -> bool:
    """Whether strict mode takes the schema: every object closed, every property required."""
    if isinstance(schema, list):
        return all(fits_strict(part) for part in schema)
    if not isinstance(schema, dict):
        return True
    properties = schema.get("properties")
    if isinstance(properties, dict) or schema.get("type") == "object":
        closed = schema.get("additionalProperties") is False
        required = set(schema.get("required") or ()) == set(properties or ())
        if not (closed and required):
            return False
    return all(fits_strict(part) for part in schema.values())


def _answer(answer: HttpAnswer) -> WireAnswer:
    body = _object(answer.body)
    choices = body.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise broken("it holds no message", answer.status)
    text, refused = message.get("content"), message.get("refusal")
    if not isinstance(text, str | None):
        raise broken("its content is not text", answer.status)
    reason = "content_filter" if refused else choice.get("finish_reason")
    if not isinstance(reason, str):
        raise broken("it names no reason for its end", answer.status)
    return WireAnswer(text or "", reason[:64], _usage(body.get("usage")), answer.status)


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = canonical.load(body)
    except canonical.MalformedJson:
        raise broken("it is not JSON", 200) from None
    if not isinstance(value, dict):
        raise broken("it is not a JSON object", 200)
    return value


def _usage(usage: Any) -> TokenUsage | None:
    if not isinstance(usage, dict):
        return None
    sent, received = _tokens(usage.get("prompt_tokens")), _tokens(usage.get("completion_tokens"))
    if sent is None or received is None:
        return None
    details = usage.get("prompt_tokens_details")
    cached = _tokens(details.get("cached_tokens")) if isinstance(details, dict) else None
    return TokenUsage(sent, received, min(cached or 0, sent))


def _tokens(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < _MAX_TOKENS else None


def _error_body(body: bytes) -> ErrorBody:
    """Whatever can be read of an error; a proxy's HTML page is an empty one."""
    try:
        value = canonical.load(body)
    except canonical.MalformedJson:
        return ErrorBody()
    error = value.get("error", value) if isinstance(value, dict) else None
    if not isinstance(error, dict):
        return ErrorBody(message=error if isinstance(error, str) else "")
    return ErrorBody(_text(error.get("code")), _text(error.get("type")), _text(error.get("message")) or "")


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _header(text: str) -> str:
    """The text itself where a header can carry it, else a digest of it."""
    return text if _HEADER.match(text) else hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
