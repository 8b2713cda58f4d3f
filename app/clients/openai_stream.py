"""A streamed Chat Completion: chunks of its text, its reason, its usage, and `[DONE]`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.clients.base import TokenUsage
from app.clients.http import broken
from app.clients.refusal import break_off
from app.clients.sse import Event
from app.clients.streamed import StreamedAnswer
from app.clients.wire_json import error_in, json_object, tokens


class ChatStream(StreamedAnswer):
    """Grows by chunks; only `[DONE]` is its end."""

    def __init__(self, provider: str, max_bytes: int, on_text: Callable[[str], None]) -> None:
        super().__init__(max_bytes, on_text)
        self._provider = provider

    def read(self, event: Event) -> bool:
        if event.data.strip() == b"[DONE]":
            return True
        chunk = json_object(event.data)
        error = chunk.get("error") or (chunk if event.name == "error" else None)
        if error is not None:
            raise break_off(self._provider, error_in(error))
        self.usage = usage_of(chunk.get("usage")) or self.usage
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            self._take_choice(choice)
        return False

    def _take_choice(self, choice: Any) -> None:
        delta = choice.get("delta") if isinstance(choice, dict) else None
        if not isinstance(choice, dict) or not isinstance(delta, dict | None):
            raise broken("a chunk of it is not the protocol", 200)
        reason = choice.get("finish_reason")
        if isinstance(reason, str) and self.reason != "content_filter":
            self.reason = reason
        if delta is None:
            return
        if delta.get("refusal"):
            self.reason = "content_filter"
        text = delta.get("content")
        if not isinstance(text, str | None):
            raise broken("its content is not text", 200)
        self.add(text or "")


def usage_of(usage: Any) -> TokenUsage | None:
    """Usage as OpenAI tells it; None where it makes no sense."""
    if not isinstance(usage, dict):
        return None
    sent, received = tokens(usage.get("prompt_tokens")), tokens(usage.get("completion_tokens"))
    if sent is None or received is None:
        return None
    details = usage.get("prompt_tokens_details")
    cached = tokens(details.get("cached_tokens")) if isinstance(details, dict) else None
    return TokenUsage(sent, received, min(cached or 0, sent))
