"""A client of event streams: reads server-sent events by the letter of the standard, over a connection of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from tests.stack import Stack

STREAM = "text/event-stream"


@dataclass(slots=True)
class Event:
    """One event; `id` only where it carries one itself."""

    name: str
    data: Any
    id: str | None


class Reading:
    """An open stream: iterate for its events, until the server closes; httpx.TransportError when it breaks off."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.comments: list[str] = []
        self.retry_ms: int | None = None
        self.last_id = ""
        self._events = self._read()

    def __iter__(self) -> Iterator[Event]:
        return self._events

    def _read(self) -> Iterator[Event]:
        fields: dict[str, list[str]] = {}
        for line in self.response.iter_lines():
            if not line:
                if "data" in fields:
                    yield self._event(fields)
                fields = {}
            elif line.startswith(":"):
                self.comments.append(line[1:])
            else:
                name, _, value = line.partition(":")
                self._note(fields, name, value.removeprefix(" "))

    def _note(self, fields: dict[str, list[str]], name: str, value: str) -> None:
        if name == "retry":
            self.retry_ms = int(value)
        if name == "id":
            self.last_id = value
        fields.setdefault(name, []).append(value)

    def _event(self, fields: dict[str, list[str]]) -> Event:
        (data,) = fields["data"]
        own = fields.get("id", [None])[0]
        return Event(fields.get("event", ["message"])[0], json.loads(data), own)


@contextmanager
def following(stack: Stack, job_id: str, last_id: str | None = None, url: str | None = None) -> Iterator[Reading]:
    """The job's stream."""
    headers = {"Last-Event-ID": last_id} if last_id else {}
    with opened(stack, "GET", f"{url or stack.url}/v1/jobs/{job_id}/events", headers) as reading:
        yield reading


@contextmanager
def submitting(
    stack: Stack, workflow: str, input: Any, headers: dict[str, str] | None = None, **more: Any
) -> Iterator[Reading]:
    """A submit whose answer is the job's stream."""
    url = f"{stack.url}/v1/workflows/{workflow}/jobs"
    with opened(stack, "POST", url, headers or {}, {"input": input, **more}) as reading:
        yield reading


@contextmanager
def opened(
    stack: Stack, method: str, url: str, headers: dict[str, str], body: dict[str, Any] | None = None
) -> Iterator[Reading]:
    """The stream at that address."""
    sent = {"Authorization": stack.client.headers["Authorization"], "Accept": STREAM, **headers}
    with httpx.stream(method, url, headers=sent, json=body, timeout=60, trust_env=False, verify=False) as response:
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"] == f"{STREAM}; charset=utf-8"
        yield Reading(response)


def text_of(events: list[Event]) -> str:
    """What a client has put together in the end of the one streamed answer: the pieces since the last reset."""
    text = ""
    for event in events:
        if event.name == "reset":
            text = ""
        if event.name == "delta" and isinstance(event.data, dict) and "text" in event.data:
            text += event.data["text"]
    return text


def durable(events: list[Event]) -> list[tuple[str | None, str]]:
    """Id and type of each durable event."""
    return [(event.id, event.data["type"]) for event in events if event.name == "job"]
