"""How a step is tried: Policy, Cache and Window, as authors write them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from app.domain.duration import seconds
from app.gateway.calls.keeping import Keeping

# Policy fields whose feature is not built yet, with the value that asks for nothing.
UNBUILT: dict[str, Any] = {"batch": None}


@dataclass(frozen=True, slots=True)
class Cache:
    """Keep answers for `ttl` (a duration); `tags` drop them together.

    `near` will accept near-identical questions; until it is built it has no effect.
    """

    ttl: str
    tags: tuple[str, ...] = ()
    near: float | None = None

    def __post_init__(self) -> None:
        _positive("Cache.ttl", self.ttl)
        if isinstance(self.tags, str) or not all(isinstance(tag, str) for tag in self.tags):
            raise ValueError('Cache.tags is a tuple of names, for instance tags=("reviews",)')
        if self.near is not None and not (_is_number(self.near) and 0 < self.near <= 1):
            raise ValueError(f"Cache.near is a similarity above 0 and up to 1, not {self.near!r}")

    @property
    def keeping(self) -> Keeping:
        """The same for the gateway."""
        return Keeping(seconds(self.ttl), self.tags)


@dataclass(frozen=True, slots=True)
class Window:
    """Let calls of many jobs share one provider call: up to `size` of them, or after `wait` (a duration).

    `packed` will let an `ask` share one prompt without an accuracy gate. Until windows are built none of it has effect.
    """

    size: int
    wait: str
    on_failure: Literal["split", "fail"] = "split"
    group: str | None = None
    packed: bool = False

    def __post_init__(self) -> None:
        _positive("Window.wait", self.wait)
        if not isinstance(self.size, int) or self.size < 1:
            raise ValueError(f"Window.size is a number of at least 1, not {self.size!r}")
        if self.on_failure not in ("split", "fail"):
            raise ValueError(f"Window.on_failure is 'split' or 'fail', not {self.on_failure!r}")
        if self.group is not None and not isinstance(self.group, str):
            raise ValueError(f"Window.group is a name, not {self.group!r}")
        if not isinstance(self.packed, bool):
            raise ValueError(f"Window.packed is True or False, not {self.packed!r}")


@dataclass(frozen=True, slots=True)
class Policy:
    """Tries, timeout and back-off of a step; durations are texts such as `30s`, or seconds.

    `timeout` bounds one try of a function and one call to a provider; None leaves it to the workflow's timeout.
    `backoff` bounds the wait after the first failed try; the bound doubles with each try, up to five minutes.
    While the circuit breaker named by `breaker` is open, and after the last try, `fallback` answers: a function, called
    with the step's arguments (of an `ask`: with its prompt or messages), or for an `ask` the alias of another model.
    Without one, the step waits for the breaker and uses no try. One that is not `critical` gives None instead of its
    failure, and is tried again later, as `ctx.enrich`. A field that has no effect yet is named in a warning.
    """

    tries: int = 4
    timeout: str | float | None = None
    backoff: str | float = "1s"
    cache: Cache | None = None
    batch: Window | None = None
    fallback: Callable[..., Any] | str | None = None
    breaker: str | None = None
    critical: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.tries, int) or not 1 <= self.tries <= 100:
            raise ValueError(f"Policy.tries is a number from 1 to 100, not {self.tries!r}")
        _positive("Policy.backoff", self.backoff)
        if self.timeout is not None:
            _positive("Policy.timeout", self.timeout)
        if self.cache is not None and not isinstance(self.cache, Cache):
            raise ValueError(f'Policy.cache is a Cache, for instance Cache(ttl="24h"), not {self.cache!r}')
        if self.batch is not None and not isinstance(self.batch, Window):
            raise ValueError(f'Policy.batch is a Window, for instance Window(size=10, wait="2s"), not {self.batch!r}')
        if not isinstance(self.critical, bool):
            raise ValueError(f"Policy.critical is True or False, not {self.critical!r}")
        if self.breaker is not None and not (isinstance(self.breaker, str) and 0 < len(self.breaker) <= 100):
            raise ValueError(f"Policy.breaker is a name of up to 100 characters, not {self.breaker!r}")
        if self.fallback is not None and not (
            callable(self.fallback) or (self.fallback and isinstance(self.fallback, str))
        ):
            raise ValueError(f"Policy.fallback is a function or the alias of a model, not {self.fallback!r}")

    @property
    def timeout_s(self) -> float | None:
        """Seconds one try may take; None: no bound of its own."""
        return None if self.timeout is None else seconds(self.timeout)

    @property
    def backoff_s(self) -> float:
        """The longest wait after the first failed try, in seconds."""
        return seconds(self.backoff)

    @property
    def without_effect(self) -> tuple[str, ...]:
        """The fields set here whose feature is not built yet."""
        near = ("cache.near",) if self.cache is not None and self.cache.near is not None else ()
        return (*(name for name, nothing in UNBUILT.items() if getattr(self, name) != nothing), *near)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _positive(field: str, value: str | float) -> None:
    try:
        found = seconds(value)
    except ValueError as error:
        raise ValueError(f"{field}: {error}") from None
    if not 0 < found < float("inf"):
        raise ValueError(f"{field} must be more than nothing, not {value!r}")


DEFAULT = Policy()
