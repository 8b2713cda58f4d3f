"""What a provider's wire format must offer: reading a request, writing an answer, its events or a refusal."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from app.loadtest.provider.limit import Standing

Shape = Literal["text", "json_object", "json_schema"]
Finish = Literal["stop", "length", "content_filter"]
Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Ask:
    """One request in the words that all dialects share. `digest` names its content; `item` is what it is about.

    `stream`: the answer comes in events, where `counted` with its usage; `cacheable`: the prompt may be cached;
    `tool`: the answer is the input of this tool; `texts` are to be embedded.
    """

    model: str
    item: str
    digest: str
    prompt_tokens: int
    max_tokens: int | None
    shape: Shape
    schema: Any = None
    stream: bool = False
    counted: bool = True
    cacheable: bool = True
    tool: str | None = None
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer: the text, why it ended, and the tokens it is charged for; `counted`: it names them.

    `cached_tokens` were read from the cache and `written_tokens` written to it; both are part of `prompt_tokens`.
    """

    id: str
    content: str
    finish: Finish
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    written_tokens: int = 0
    counted: bool = True


@dataclass(frozen=True, slots=True)
class Events:
    """A streamed answer in bytes: what opens it, an event for each token, what closes it, and the mark of its end."""

    opening: bytes
    tokens: tuple[bytes, ...]
    closing: bytes
    mark: bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """One error answer. `outcome` is its name in the call log."""

    outcome: str
    status: int
    message: str
    type: str
    code: str | None = None
    param: str | None = None


class Refused(Exception):
    """A request that the provider refuses."""

    def __init__(self, refusal: Refusal, model: str | None = None) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal
        self.model = model


class Dialect(Protocol):
    """One provider's wire format."""

    name: str

    def key(self, headers: Mapping[bytes, bytes]) -> str | None:
        """The API key that the request carries."""
        ...

    def read(self, headers: Mapping[bytes, bytes], body: bytes) -> Ask:
        """Reads a request. Raises Refused."""
        ...

    def reply(self, ask: Ask, reply: Reply) -> bytes:
        """The response body of an answer."""
        ...

    def events(self, ask: Ask, reply: Reply) -> Events:
        """The same answer as a stream of events."""
        ...

    def own(self, refusal: Refusal) -> Refusal:
        """A refusal in this provider's status, type and words."""
        ...

    def error(self, refusal: Refusal) -> bytes:
        """The response body of a refusal."""
        ...

    def error_event(self, refusal: Refusal) -> bytes:
        """A refusal in the middle of a stream."""
        ...

    def limit_headers(self, standings: list[Standing], wait_s: float | None) -> Headers:
        """The response headers that announce limits; `wait_s` adds when to come again, in seconds."""
        ...


def retry_after(wait_s: float | None) -> Headers:
    """The standard header that says when to come again, in whole seconds; none for None."""
    return () if wait_s is None else ((b"retry-after", b"%d" % math.ceil(wait_s)),)
