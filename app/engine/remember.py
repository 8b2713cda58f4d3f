"""Results of steps that equal jobs know: found before the step is tried, made once by all who need it at once."""

from __future__ import annotations

import functools
import hashlib
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from types import CodeType
from typing import Any

from pydantic import TypeAdapter

from app.domain import canonical
from app.domain.errors import TransientError
from app.domain.step import Via
from app.engine import codec
from app.engine.run import Run
from app.engine.work import Try, Way, Work, misuse
from app.gateway.caches.cache import Entry, ExactCache, Key
from app.gateway.calls.keeping import Keeping

# Who waits for another's result waits no longer than this, where the step has no timeout.
_LONGEST_S = 600.0


@dataclass(frozen=True, slots=True)
class Memory:
    """What equal steps of a project know: by the step's name, the code of its function, and its arguments."""

    cache: ExactCache
    key: Key
    keeping: Keeping
    adapter: TypeAdapter[Any]
    wait_s: float

    async def known(self) -> bytes | None:
        """The result as recorded, if there is one."""
        (entry,) = await self.cache.look([self.key])
        return entry.body if entry is not None and self._fits(entry) else None

    def act(self, make: Callable[[Try], Awaitable[Any]]) -> Callable[[Try], Awaitable[Any]]:
        """An act that is made by one of all who need it at once, and kept."""

        async def act(one: Try) -> Any:
            async with self.cache.enter(self.key, self.keeping, self.wait_s, self._fits) as place:
                if place.entry is not None:
                    one.known()
                    return codec.load(self.adapter, place.entry.body)
                made = await make(one)
                try:
                    body = codec.dump(self.adapter, made)
                except codec.NotRecordable:
                    return made
                await place.keep(body)
                return made

        return act

    def stale(self) -> Way:
        """For while the step's breaker is open: a result past its time."""

        async def act(one: Try) -> Any:
            (entry,) = await self.cache.look([self.key], stale=True)
            if entry is None or not self._fits(entry):
                raise TransientError("no earlier result is known")
            return codec.load(self.adapter, entry.body)

        return Way(Via.STALE, act)

    def _fits(self, entry: Entry) -> bool:
        try:
            codec.load(self.adapter, entry.body)
        except codec.NotRecordable:
            return False
        return True


def remembered(run: Run, work: Work[Any], fn: Callable[..., Any]) -> Work[Any]:
    """The step, with a memory where its policy has a cache. Raises ProcessingError where `fn` has a state that nobody
    can compare.
    """
    if work.policy.cache is None:
        return work
    try:
        code = code_of(fn)
    except codec.NotRecordable as error:
        raise misuse(work.identity, f"has a cache, and a function that can't be told from others: {error}") from None
    if run.cache is None:
        return work
    whose = ["step", str(run.project_id), run.test_mode, run.workflow, run.version, work.name]
    key = Key(run.project_id, canonical.digest(*whose, code, work.digest.hex()))
    policy = work.policy
    memory = Memory(run.cache, key, work.policy.cache.keeping, work.adapter, policy.timeout_s or _LONGEST_S)
    return replace(work, act=memory.act(work.act), ways=(memory.stale(), *work.ways), known=memory.known)


def code_of(fn: Callable[..., Any]) -> list[Any]:
    """What tells the function from others and from its own former text: name, code, defaults and captured values.

    What it calls is not in it. Raises NotRecordable for methods of objects, partials and callables with a state.
    """
    name = [getattr(fn, "__module__", None), getattr(fn, "__qualname__", None)]
    if inspect.ismethoddescriptor(fn) or (inspect.isbuiltin(fn) and _without_state(fn)):
        return name
    if not inspect.isfunction(fn):
        raise codec.NotRecordable("give a plain function")
    captured = [cell.cell_contents for cell in fn.__closure__ or ()]
    return [*name, _digest(fn.__code__), codec.plain([fn.__defaults__, fn.__kwdefaults__, captured])]


def _without_state(fn: Any) -> bool:
    return inspect.ismodule(fn.__self__) or inspect.isclass(fn.__self__) or fn.__self__ is None


@functools.lru_cache(maxsize=4096)
def _digest(code: CodeType) -> str:
    """SHA-256 of the byte code, the names it uses and its constants, nested functions included."""
    parts = [_digest(one) if isinstance(one, CodeType) else _constant(one) for one in code.co_consts]
    return hashlib.sha256(repr([code.co_code.hex(), code.co_names, parts]).encode("utf-8", "surrogatepass")).hexdigest()


def _constant(value: Any) -> str:
    """The same in every process: sets have no order."""
    return repr(sorted(map(repr, value))) if isinstance(value, frozenset) else repr(value)
