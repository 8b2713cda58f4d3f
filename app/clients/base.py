"""What every model client takes, gives and raises, whatever its provider's protocol."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from app.domain.errors import Fault, LanewayError


@dataclass(frozen=True, slots=True)
class WireRequest:
    """One call to one model. `messages` are pairs of role and content; `timeout_s` bounds the whole call.

    `idle_timeout_s` bounds each silence of a stream once it has begun. With `texts` it asks for their embeddings.
    """

    model: str
    messages: tuple[tuple[str, str], ...]
    schema: dict[str, Any] | None
    schema_name: str | None
    max_output_tokens: int | None
    timeout_s: float
    max_answer_bytes: int
    traceparent: str
    idempotency_key: str
    idle_timeout_s: float = 60.0
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens as the provider counts them. `cached` is the part of `input` that it had in its cache,
    `written` the part that it put there.
    """

    input: int
    output: int
    cached: int = 0
    written: int = 0


@dataclass(frozen=True, slots=True)
class LimitHints:
    """What an answer says of its provider's limits by the minute: dimension, limit and what is left of it.

    Dimensions are requests, tokens, input and output (tokens). `label` names the limit that a 429 met: `req`, `tok` or
    `conc` (calls at once), None where it doesn't say.
    """

    limits: tuple[tuple[str, int, int], ...] = ()
    label: str | None = None


NO_HINTS = LimitHints()


Vector = tuple[float, ...]
"""An embedding."""


@dataclass(frozen=True, slots=True)
class WireAnswer:
    """A model's answer. `finish_reason` is stop, length, content_filter or the provider's own word.

    `usage` is None when the provider sent none that makes sense. `vectors` are the embeddings of the texts, in order.
    """

    text: str
    finish_reason: str
    usage: TokenUsage | None
    status: int
    hints: LimitHints = NO_HINTS
    vectors: tuple[Vector, ...] = ()


class WireError(LanewayError):
    """A call that brought no whole answer: the fault by its class, and the HTTP status if one came.

    `usage` is what the provider had counted when its stream broke, as far as it said. `sent` is False where the
    question cannot have reached it.
    """

    def __init__(
        self,
        fault: Fault,
        status: int | None = None,
        usage: TokenUsage | None = None,
        hints: LimitHints = NO_HINTS,
        *,
        sent: bool = True,
    ) -> None:
        super().__init__(fault.detail)
        self.fault = fault
        self.status = status
        self.usage = usage
        self.hints = hints
        self.sent = sent


class ModelClient(Protocol):
    """Speaks one provider's protocol. Never retries, never logs, holds no state between calls."""

    async def complete(self, call: WireRequest) -> WireAnswer:
        """The model's answer. Raises WireError, and nothing else but cancellation."""
        ...

    async def embed(self, call: WireRequest) -> WireAnswer:
        """The vectors of the call's texts. Raises WireError, also where the protocol has no embeddings."""
        ...

    async def stream(self, call: WireRequest, on_text: Callable[[str], None]) -> WireAnswer:
        """The same answer, asked for as a stream: `on_text` gets each piece of its text as it arrives.

        A stream that ends without its proper end is no answer. Raises WireError; `on_text` must not raise.
        """
        ...
