"""Embeddings with a memory: each text is asked for once; only those that nobody knows go to the provider."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from app.clients.base import Vector
from app.domain import canonical
from app.domain.call import Call, CallOutcome
from app.gateway.caches.cache import Entry, ExactCache, Key, Place
from app.gateway.caches.hit import Hit
from app.gateway.calls.request import ModelAnswer, ModelGateway, ModelRequest

# What common providers take in one call.
MOST_TEXTS = 2048
MOST_CHARACTERS = 500_000


@dataclass(frozen=True, slots=True)
class _Known:
    """A text's vector, whose it is, and its part of what the call cost, in nano-dollars."""

    provider: str
    model: str
    cost_nanos: int
    vector: Vector


class Embedding:
    """One request for the vectors of some texts."""

    def __init__(
        self, gateway: ModelGateway, cache: ExactCache, request: ModelRequest, models: tuple[str, ...]
    ) -> None:
        self._gateway = gateway
        self._cache = cache
        self._request = request
        self._whose = ["text", str(request.project_id), request.test_mode, request.alias, list(models)]

    async def answer(self, record: Callable[[Call], None], told: Callable[[Hit], None], wait_s: float) -> ModelAnswer:
        """The vectors in the texts' order; `record` gets the calls that were made, `told` what was known."""
        texts = list(dict.fromkeys(self._request.texts))
        known = await self._known(texts)
        asked = [text for text in texts if text not in known]
        made = await self._made(asked, record, wait_s) if asked else {}
        _tell({**known, **{text: one for text, (one, own) in made.items() if not own}}, told)
        found = {**known, **{text: one for text, (one, _) in made.items()}}
        return ModelAnswer("", "stop", vectors=tuple(found[text].vector for text in self._request.texts))

    async def _known(self, texts: Sequence[str]) -> dict[str, _Known]:
        entries = await self._cache.look([self._key(text) for text in texts])
        return {text: _read(entry) for text, entry in zip(texts, entries, strict=True) if entry is not None}

    async def _made(
        self, texts: Sequence[str], record: Callable[[Call], None], wait_s: float
    ) -> dict[str, tuple[_Known, bool]]:
        """The rest, each with whether it was paid for here: who asks for the same texts at once waits for the first."""
        caching = self._request.caching
        assert caching is not None
        group = Key(self._request.project_id, canonical.digest(*self._whose, "together", sorted(texts)))
        async with self._cache.enter(group, caching.keeping, wait_s) as place:
            if place.entry is not None:
                return {text: (one, False) for text, one in zip(sorted(texts), _unpacked(place.entry), strict=True)}
            again = await self._known(texts)
            asked = [text for text in texts if text not in again]
            new = {
                text: one for part in portions(asked) for text, one in (await self._ask(part, place, record)).items()
            }
            found = {**again, **new}
            place.share(_packed([found[text] for text in sorted(texts)]))
            return {text: (one, text in new) for text, one in found.items()}

    async def _ask(self, texts: Sequence[str], place: Place, record: Callable[[Call], None]) -> dict[str, _Known]:
        """One call; its vectors are kept at once, so that nothing is asked twice if the next call fails."""
        calls: list[Call] = []

        def note(call: Call) -> None:
            calls.append(call)
            record(call)

        answer = await self._gateway.complete(replace(self._request, texts=tuple(texts), caching=None), note)
        paid = next((call for call in reversed(calls) if call.outcome is CallOutcome.SUCCEEDED), None)
        whole = sum(map(len, texts)) or 1
        found = {
            text: _Known(paid.provider, paid.model, paid.cost_nanos * len(text) // whole, vector)
            if paid
            else _Known("", "", 0, vector)
            for text, vector in zip(texts, answer.vectors, strict=True)
        }
        await place.keep_all([(self._key(text), _packed([one])) for text, one in found.items()])
        return found

    def _key(self, text: str) -> Key:
        return Key(self._request.project_id, canonical.digest(*self._whose, text))


def portions(texts: Sequence[str]) -> list[list[str]]:
    """The texts in calls of a size that providers take."""
    found: list[list[str]] = []
    size = MOST_CHARACTERS
    for text in texts:
        size += len(text)
        if size > MOST_CHARACTERS or len(found[-1]) >= MOST_TEXTS:
            found.append([])
            size = len(text)
        found[-1].append(text)
    return found


def _tell(known: dict[str, _Known], told: Callable[[Hit], None]) -> None:
    """One hit for all texts of one provider's model."""
    for provider, model in {(one.provider, one.model) for one in known.values()}:
        saved = sum(one.cost_nanos for one in known.values() if (one.provider, one.model) == (provider, model))
        told(Hit(ModelAnswer("", "stop"), provider, model, saved))


def _packed(known: Sequence[_Known]) -> bytes:
    """A line of JSON that says whose they are and how long each is, then their numbers as doubles."""
    head = canonical.dump([[one.provider, one.model, one.cost_nanos, len(one.vector)] for one in known])
    return head + b"\n" + b"".join(array("d", one.vector).tobytes() for one in known)


def _unpacked(entry: Entry) -> list[_Known]:
    head, _, body = entry.body.partition(b"\n")
    numbers, found, start = array("d"), [], 0
    numbers.frombytes(body)
    for provider, model, cost_nanos, length in canonical.load(head):
        found.append(_Known(provider, model, cost_nanos, tuple(numbers[start : start + length])))
        start += length
    return found


def _read(entry: Entry) -> _Known:
    return _unpacked(entry)[0]
