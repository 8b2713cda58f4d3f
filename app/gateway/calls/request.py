"""What the engine asks of a model and what it gets: the words of the one door to models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from app.clients.base import Vector
from app.domain.call import Call
from app.domain.job import TraceContext
from app.gateway.budgets.reservation import Charge
from app.gateway.calls.keeping import Keeping


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation; `role` is system, user or assistant."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """The model's text; `finish_reason` is the provider's word: stop, length and others.

    `vectors` are the embeddings of the texts, in order. `stale_s`: how long past its time a known answer is that was
    given since nobody can be asked; else None.
    """

    text: str
    finish_reason: str
    stale_s: float | None = None
    vectors: tuple[Vector, ...] = ()


@dataclass(frozen=True, slots=True)
class Caching:
    """How long an answer is kept; only one that `fits` is, and a known one that does not is asked for again."""

    keeping: Keeping
    fits: Callable[[ModelAnswer], bool]


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One question to an alias. `schema` is a JSON Schema the answer should fit; `trace` is the step's span.

    `timeout_s` bounds each call to a provider, without the waits for the limiter; None takes the gateway's default.
    `charge` says whom its cost is charged to; None: no budget is asked. With `texts` it asks for their embeddings.
    `since`: when it was first asked, whose place in line it keeps; None: now. `again`: it was asked before, or its
    job has run before, so it does not stand behind those that are parked.
    `idempotency_key` names the step; upstream each target and body has a key of its own, made of it.
    """

    alias: str
    messages: tuple[Message, ...]
    schema: dict[str, Any] | None
    schema_name: str | None
    max_output_tokens: int | None
    timeout_s: float | None
    trace: TraceContext
    idempotency_key: str
    job_id: UUID
    project_id: UUID
    lane: str
    test_mode: bool = False
    caching: Caching | None = None
    charge: Charge | None = None
    texts: tuple[str, ...] = ()
    since: datetime | None = None
    again: bool = False


class ModelGateway(Protocol):
    """The one door to a model."""

    async def complete(
        self,
        request: ModelRequest,
        record: Callable[[Call], None],
        on_text: Callable[[str], None] | None = None,
    ) -> ModelAnswer:
        """The answer; `record` is called once for each call to a provider, failed ones too.

        With `on_text` it is streamed: each piece of the text is handed out as it arrives, and together they are the
        text of the answer. When it raises after a first piece, those pieces are void. `on_text` must not raise.
        Raises a Fault by class, and MustWait when the wait for a limit is too long to hold a slot.
        """
        ...
