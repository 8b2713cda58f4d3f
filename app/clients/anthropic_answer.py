"""An answer of the Anthropic Messages API, whole or as a stream of its events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.clients.base import LimitHints, TokenUsage, WireAnswer
from app.clients.http import HttpAnswer, broken
from app.clients.refusal import break_off
from app.clients.sse import Event
from app.clients.streamed import StreamedAnswer
from app.clients.wire_json import error_in, json_object, tokens
from app.domain import canonical

_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
}
_COUNTS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")


class MessageStream(StreamedAnswer):
    """Grows by events; only `message_stop` is its end. `tool`: its text is the input of a tool."""

    def __init__(self, provider: str, max_bytes: int, on_text: Callable[[str], None], tool: bool) -> None:
        super().__init__(max_bytes, on_text)
        self._provider = provider
        self._delta, self._member = ("input_json_delta", "partial_json") if tool else ("text_delta", "text")
        self._counts: dict[str, Any] = {}
        self._final = False

    def read(self, event: Event) -> bool:
        data = json_object(event.data)
        kind = data.get("type")
        if kind == "error":
            raise break_off(self._provider, error_in(data.get("error")))
        if kind == "message_start":
            self._count(_part(data, "message").get("usage"))
        elif kind == "content_block_delta":
            self._take(_part(data, "delta"))
        elif kind == "message_delta":
            self._close(_part(data, "delta").get("stop_reason"), data.get("usage"))
        return kind == "message_stop"

    @property
    def final_usage(self) -> TokenUsage | None:
        """What the start says of the output is not yet all of it."""
        return self.usage if self._final else None

    def _take(self, delta: dict[str, Any]) -> None:
        if delta.get("type") != self._delta:
            return
        text = delta.get(self._member)
        if not isinstance(text, str):
            raise broken("its content is not text", 200)
        self.add(text)

    def _close(self, reason: Any, usage: Any) -> None:
        if isinstance(reason, str):
            self.reason = _REASONS.get(reason, reason)
        self._final = self._final or isinstance(usage, dict)
        self._count(usage)

    def _count(self, usage: Any) -> None:
        """Counts only grow; some servers send zeros first and the truth at the end."""
        if isinstance(usage, dict):
            for name in _COUNTS:
                self._counts[name] = max(tokens(usage.get(name)) or 0, self._counts.get(name, 0))
            self.usage = usage_of(self._counts)


def whole_answer(answer: HttpAnswer, tool: bool, hints: LimitHints) -> WireAnswer:
    """The answer of a call without a stream. Raises WireError."""
    body = json_object(answer.body)
    blocks, reason = body.get("content"), body.get("stop_reason")
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        raise broken("it holds no content", answer.status)
    if not isinstance(reason, str):
        raise broken("it names no reason for its end", answer.status)
    text = _tool_input(blocks) if tool else _text(blocks)
    return WireAnswer(text, _REASONS.get(reason, reason)[:64], usage_of(body.get("usage")), answer.status, hints)


def usage_of(usage: Any) -> TokenUsage | None:
    """Usage as Anthropic tells it, its `input_tokens` without those of the cache; None where it makes no sense."""
    if not isinstance(usage, dict):
        return None
    fresh, received = tokens(usage.get("input_tokens")), tokens(usage.get("output_tokens"))
    if fresh is None or received is None:
        return None
    cached = tokens(usage.get("cache_read_input_tokens")) or 0
    written = tokens(usage.get("cache_creation_input_tokens")) or 0
    return TokenUsage(fresh + cached + written, received, cached, written)


def _part(data: dict[str, Any], name: str) -> dict[str, Any]:
    part = data.get(name)
    if not isinstance(part, dict):
        raise broken("an event of it is not the protocol", 200)
    return part


def _text(blocks: list[dict[str, Any]]) -> str:
    texts = [block.get("text") for block in blocks if block.get("type") == "text"]
    if not all(isinstance(text, str) for text in texts):
        raise broken("its content is not text", 200)
    return "".join(map(str, texts))


def _tool_input(blocks: list[dict[str, Any]]) -> str:
    used = [block.get("input") for block in blocks if block.get("type") == "tool_use"]
    return canonical.dump(used[0]).decode() if used else ""
