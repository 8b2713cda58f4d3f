"""The gateway with a memory: equal questions of one project are asked once, for as long as their policy says."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from app.domain import canonical
from app.domain.call import Call, CallOutcome
from app.domain.clock import Clock
from app.domain.errors import MustWait
from app.domain.job import Reason
from app.gateway.caches.cache import Entry, ExactCache, Key, Place
from app.gateway.caches.embedding import Embedding
from app.gateway.caches.hit import Hit, hit_call, hit_span
from app.gateway.calls.request import Caching, ModelAnswer, ModelGateway, ModelRequest
from app.telemetry.traces import Tracing, child

# Who waits for another's answer waits as long as that may take, and a little longer.
_LONGEST_S = 120.0
_MARGIN_S = 5.0
# Why nobody can be asked now.
_OUT = (Reason.PROVIDER_DOWN, Reason.PROVIDER_AUTH)


class Asked(ModelGateway, Protocol):
    """A gateway that says whom it would ask."""

    def models(self, alias: str, test_mode: bool) -> tuple[str, ...]:
        """Every target of the alias as `provider/model`, sorted: an answer of others is another answer."""
        ...


class Cached:
    """Answers what is known; asks the gateway for the rest, once for all who ask the same at once.

    An answer that does not fit its question is given to those who wait for it, and is not kept. While the provider's
    breaker is open, or it refuses our credential, an answer past its time is better than none, and says so.
    """

    def __init__(self, gateway: Asked, cache: ExactCache, clock: Clock, tracing: Tracing) -> None:
        self._gateway = gateway
        self._cache = cache
        self._clock = clock
        self._tracing = tracing

    async def complete(
        self,
        request: ModelRequest,
        record: Callable[[Call], None],
        on_text: Callable[[str], None] | None = None,
    ) -> ModelAnswer:
        """As the gateway answers; a known answer is recorded as a call that cost nothing, and streamed in one piece."""
        if request.caching is None:
            return await self._gateway.complete(request, record, on_text)
        models = self._gateway.models(request.alias, request.test_mode)
        wait_s = (request.timeout_s or _LONGEST_S) + _MARGIN_S
        if request.texts:
            embedding = Embedding(self._gateway, self._cache, request, models)
            return await embedding.answer(record, partial(self._book, request, record), wait_s)
        key = answer_key(request, models)
        caching = request.caching
        async with self._cache.enter(
            key, caching.keeping, wait_s, lambda one: caching.fits(_read(one).answer)
        ) as place:
            if place.entry is not None:
                return self._known(request, _read(place.entry), record, on_text)
            try:
                return await self._asked(request, caching, place, record, on_text)
            except MustWait as wait:
                stale = await self._stale(key, caching) if wait.reason in _OUT else None
                if stale is None:
                    raise
                return self._known(request, stale, record, on_text)

    async def _asked(
        self,
        request: ModelRequest,
        caching: Caching,
        place: Place,
        record: Callable[[Call], None],
        on_text: Callable[[str], None] | None,
    ) -> ModelAnswer:
        calls: list[Call] = []

        def note(call: Call) -> None:
            calls.append(call)
            record(call)

        answer = await self._gateway.complete(request, note, on_text)
        body = _body(answer, calls)
        if caching.fits(answer):
            await place.keep(body)
        else:
            place.share(body)
        return answer

    async def _stale(self, key: Key, caching: Caching) -> Hit | None:
        (entry,) = await self._cache.look([key], stale=True)
        hit = None if entry is None else _read(entry)
        return hit if hit is not None and caching.fits(hit.answer) else None

    def _known(
        self,
        request: ModelRequest,
        hit: Hit,
        record: Callable[[Call], None],
        on_text: Callable[[str], None] | None,
    ) -> ModelAnswer:
        self._book(request, record, hit)
        if on_text is not None and hit.answer.text:
            on_text(hit.answer.text)
        return hit.answer

    def _book(self, request: ModelRequest, record: Callable[[Call], None], hit: Hit) -> None:
        trace = child(request.trace)
        call = hit_call(request, hit, trace, self._clock.now())
        self._tracing.emit(hit_span(call, trace))
        record(call)


def answer_key(request: ModelRequest, models: tuple[str, ...]) -> Key:
    """What an answer depends on: whose question, whom it goes to, and every part of it that is sent."""
    asked = [[message.role, message.content] for message in request.messages]
    whose = ["answer", str(request.project_id), request.test_mode]
    form = [request.schema, request.schema_name, request.max_output_tokens]
    return Key(request.project_id, canonical.digest(*whose, request.alias, list(models), asked, *form))


def _body(answer: ModelAnswer, calls: list[Call]) -> bytes:
    """The answer with whose it is, and what it cost."""
    made = next((call for call in reversed(calls) if call.outcome is CallOutcome.SUCCEEDED), None)
    whose = (made.provider, made.model, made.cost_nanos) if made else ("", "", 0)
    return canonical.dump([answer.text, answer.finish_reason, *whose])


def _read(entry: Entry) -> Hit:
    found: Any = canonical.load(entry.body)
    text, finish_reason, provider, model, cost_nanos = found
    stale_s = -entry.left_s if entry.left_s <= 0 and not entry.just_made else None
    return Hit(ModelAnswer(text, finish_reason, stale_s), provider, model, cost_nanos)
