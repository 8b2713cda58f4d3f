"""The Anthropic Messages protocol."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

from app.clients.anthropic_answer import MessageStream, whole_answer
from app.clients.anthropic_form import form_of
from app.clients.base import WireAnswer, WireError, WireRequest
from app.clients.http import HttpAnswer, post_json
from app.clients.limits import hints_of
from app.clients.refusal import refuse
from app.clients.streamed import hear
from app.clients.wire_json import error_of, header
from app.domain import canonical
from app.domain.clock import SYSTEM_CLOCK, Clock
from app.domain.errors import ProcessingError
from app.settings import ProviderSettings

_VERSION = "2023-06-01"
# The protocol wants a limit in every request; every current model takes this one.
_MAX_TOKENS = 8192


class AnthropicClient:
    """One provider behind this protocol. `name` is the provider's, for messages."""

    def __init__(
        self, name: str, settings: ProviderSettings, http: httpx.AsyncBaseTransport, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._name = name
        self._http = http
        self._clock = clock
        base = settings.base_url.rstrip("/")
        self._url = httpx.URL(f"{base if base.endswith('/v1') else f'{base}/v1'}/messages")
        key = settings.api_key.get_secret_value() if settings.api_key else None
        self._fixed = {"anthropic-version": _VERSION, **({"x-api-key": key} if key else {})}

    async def complete(self, call: WireRequest) -> WireAnswer:
        """The model's answer. Raises WireError."""
        body = self._body(call)
        answer = await post_json(
            self._http, self._url, self._headers(call), canonical.dump(body), call.timeout_s, call.max_answer_bytes
        )
        if not 200 <= answer.status < 300:
            raise self._refused(answer)
        return whole_answer(answer, "tools" in body, hints_of(answer.headers, self._clock.now()))

    async def embed(self, call: WireRequest) -> WireAnswer:
        """Raises WireError: this protocol has no embeddings."""
        fault = ProcessingError(f"provider {self._name} has no embeddings: name an alias of one that has")
        raise WireError(fault, sent=False)

    async def stream(self, call: WireRequest, on_text: Callable[[str], None]) -> WireAnswer:
        """The model's answer, heard while it comes; `on_text` gets each piece. Raises WireError."""
        body = {**self._body(call), "stream": True}
        growing = MessageStream(self._name, call.max_answer_bytes, on_text, "tools" in body)
        answer = await hear(self._http, self._url, self._headers(call), canonical.dump(body), call, growing)
        if not 200 <= answer.status < 300:
            raise self._refused(answer)
        return growing.whole(answer.status, hints_of(answer.headers, self._clock.now()))

    def _refused(self, answer: HttpAnswer) -> WireError:
        return refuse(self._name, answer.status, answer.headers, error_of(answer.body), self._clock.now())

    def _headers(self, call: WireRequest) -> dict[str, str]:
        return {**self._fixed, "traceparent": call.traceparent, "Idempotency-Key": header(call.idempotency_key)}

    def _body(self, call: WireRequest) -> dict[str, Any]:
        """System messages stand apart, wherever in the conversation they were."""
        system = [content for role, content in call.messages if role == "system"]
        turns = [{"role": role, "content": content} for role, content in call.messages if role != "system"]
        limit = _MAX_TOKENS if call.max_output_tokens is None else call.max_output_tokens
        body: dict[str, Any] = {"model": call.model, "max_tokens": limit, "messages": turns}
        if system:
            body["system"] = "\n\n".join(system)
        return body if call.schema is None else body | form_of(call.schema, call.schema_name)
