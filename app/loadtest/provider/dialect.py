"""What a provider's wire format must offer: reading a request, writing an answer or a refusal. The seam for others."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from app.loadtest.provider.limit import Standing

Shape = Literal["text", "json_object", "json_schema"]
Finish = Literal["stop", "length", "content_filter"]
Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Ask:
    """One request in the words that all dialects share. `digest` names its content; `item` is what it is about."""

    model: str
    item: str
    digest: str
    prompt_tokens: int
    max_tokens: int | None
    shape: Shape
    schema: Any = None


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer: the text, why it ended, and the tokens it is charged for."""

    id: str
    content: str
    finish: Finish
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int


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
    """One provider's wire format. A streaming answer becomes one more method here, beside `reply`."""

    def key(self, headers: Mapping[bytes, bytes]) -> str | None:
        """The API key that the request carries."""
        ...

    def read(self, body: bytes) -> Ask:
        """Reads a request body. Raises Refused."""
        ...

    def reply(self, ask: Ask, reply: Reply) -> bytes:
        """The response body of an answer."""
        ...

    def error(self, refusal: Refusal) -> bytes:
        """The response body of a refusal."""
        ...

    def limit_headers(self, standings: list[Standing]) -> Headers:
        """The response headers that announce limits."""
        ...
