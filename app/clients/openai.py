"""The OpenAI Chat Completions protocol, as OpenAI and compatible servers speak it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

from app.clients.base import LimitHints, WireAnswer, WireError, WireRequest
from app.clients.http import HttpAnswer, broken, post_json
from app.clients.limits import hints_of
from app.clients.openai_embeddings import embeddings_answer, embeddings_body
from app.clients.openai_stream import ChatStream, usage_of
from app.clients.refusal import refuse
from app.clients.streamed import hear
from app.clients.wire_json import error_of, header, json_object, schema_name
from app.domain import canonical
from app.domain.clock import SYSTEM_CLOCK, Clock
from app.settings import ProviderSettings

_OWN_HOSTS = (".openai.com", ".openai.azure.com")
_STREAMED = {"stream": True, "stream_options": {"include_usage": True}}


class OpenAIClient:
    """One provider behind this protocol. `name` is the provider's, for messages."""

    def __init__(
        self, name: str, settings: ProviderSettings, http: httpx.AsyncBaseTransport, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._name = name
        self._http = http
        self._clock = clock
        self._url = httpx.URL(f"{settings.base_url.rstrip('/')}/chat/completions")
        self._embeddings = httpx.URL(f"{settings.base_url.rstrip('/')}/embeddings")
        key = settings.api_key.get_secret_value() if settings.api_key else None
        self._key = {"Authorization": f"Bearer {key}"} if key else {}
        # OpenAI's newer models refuse `max_tokens`; many compatible servers silently ignore the newer name.
        own = f".{self._url.host}".endswith(_OWN_HOSTS)
        self._limit_field = "max_completion_tokens" if own else "max_tokens"

    async def complete(self, call: WireRequest) -> WireAnswer:
        """The model's answer. Raises WireError."""
        body = canonical.dump(self._body(call))
        answer = await post_json(
            self._http, self._url, self._headers(call), body, call.timeout_s, call.max_answer_bytes
        )
        if not 200 <= answer.status < 300:
            raise self._refused(answer)
        return _answer(answer, hints_of(answer.headers, self._clock.now()))

    async def stream(self, call: WireRequest, on_text: Callable[[str], None]) -> WireAnswer:
        """The model's answer, heard while it comes; `on_text` gets each piece. Raises WireError."""
        growing = ChatStream(self._name, call.max_answer_bytes, on_text)
        body = canonical.dump(self._body(call) | _STREAMED)
        answer = await hear(self._http, self._url, self._headers(call), body, call, growing)
        if not 200 <= answer.status < 300:
            raise self._refused(answer)
        return growing.whole(answer.status, hints_of(answer.headers, self._clock.now()))

    async def embed(self, call: WireRequest) -> WireAnswer:
        """The vectors of the call's texts. Raises WireError."""
        body = canonical.dump(embeddings_body(call))
        answer = await post_json(
            self._http, self._embeddings, self._headers(call), body, call.timeout_s, call.max_answer_bytes
        )
        if not 200 <= answer.status < 300:
            raise self._refused(answer)
        return embeddings_answer(call, answer, hints_of(answer.headers, self._clock.now()))

    def _refused(self, answer: HttpAnswer) -> WireError:
        return refuse(self._name, answer.status, answer.headers, error_of(answer.body), self._clock.now())

    def _headers(self, call: WireRequest) -> dict[str, str]:
        return {**self._key, "traceparent": call.traceparent, "Idempotency-Key": header(call.idempotency_key)}

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
    named = {"name": schema_name(name), "schema": schema, "strict": fits_strict(schema)}
    return {"type": "json_schema", "json_schema": named}


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


def _answer(answer: HttpAnswer, hints: LimitHints) -> WireAnswer:
    body = json_object(answer.body)
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
    return WireAnswer(text or "", reason[:64], usage_of(body.get("usage")), answer.status, hints)
