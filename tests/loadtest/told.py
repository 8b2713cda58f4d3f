"""Reads the provider's streams in tests, in both dialects, without any client of ours."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson

from tests.loadtest.provider_process import ANTHROPIC_HEADERS, ProviderProcess, chat_body, messages_body


@dataclass(slots=True)
class Told:
    """What a stream told: its events in order, its text, why it ended, its usage, and whether its end mark came."""

    events: list[tuple[str | None, Any]] = field(default_factory=list)
    text: str = ""
    pieces: int = 0
    finish: str | None = None
    usage: dict[str, Any] | None = None
    ended: bool = False
    error: dict[str, Any] | None = None
    broken: Exception | None = None


@dataclass(frozen=True, slots=True)
class Speech:
    """One dialect: where a stream is asked for, with what, and how an event of it is taken."""

    name: str
    path: str
    headers: dict[str, str]
    body: Callable[..., dict[str, Any]]
    take: Callable[[Told, str], None]

    def stream(self, provider: ProviderProcess, content: str, timeout_s: float = 10.0, **fields: Any) -> Told:
        """One streamed call to its end; what breaks it is in `broken`."""
        told = Told()
        body = self.body(content, stream=True, **fields)
        try:
            with provider.http.stream(
                "POST", self.path, json=body, headers=self.headers, timeout=timeout_s
            ) as response:
                if response.status_code != 200:
                    told.error = orjson.loads(response.read())["error"]
                    return told
                for name, data in _events(response.iter_lines()):
                    told.events.append((name, data if data == "[DONE]" else orjson.loads(data)))
                    self.take(told, data)
        except httpx.HTTPError as error:
            told.broken = error
        return told


def _events(lines: Iterable[str]) -> Iterator[tuple[str | None, str]]:
    name: str | None = None
    for line in lines:
        if line.startswith("event: "):
            name = line[7:]
        elif line.startswith("data: "):
            yield name, line[6:]
            name = None


def _take_chunk(told: Told, data: str) -> None:
    if data == "[DONE]":
        told.ended = True
        return
    chunk = orjson.loads(data)
    told.error = chunk.get("error", told.error)
    told.usage = chunk.get("usage") or told.usage
    for choice in chunk.get("choices", []):
        text = choice["delta"].get("content") or ""
        told.text += text
        told.pieces += bool(text)
        told.finish = choice["finish_reason"] or told.finish


def _take_event(told: Told, data: str) -> None:
    event = orjson.loads(data)
    kind = event["type"]
    if kind == "content_block_delta":
        told.text += event["delta"].get("text") or event["delta"].get("partial_json") or ""
        told.pieces += 1
    elif kind == "message_delta":
        told.finish, told.usage = event["delta"]["stop_reason"], event.get("usage")
    elif kind == "error":
        told.error = event["error"]
    told.ended |= kind == "message_stop"


def _asked(content: str, **fields: Any) -> dict[str, Any]:
    return chat_body(content, **{"stream_options": {"include_usage": True}, **fields})


OPENAI = Speech("openai", "/v1/chat/completions", {}, _asked, _take_chunk)
ANTHROPIC = Speech("anthropic", "/v1/messages", ANTHROPIC_HEADERS, messages_body, _take_event)
