"""What of a changed configuration takes effect while a process runs, and what only its next start takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from app.settings.load import ConfigurationError, load_settings
from app.settings.settings import Settings

# What a running process takes. All else is built once, from what was there at its start.
LIVE = frozenset({"providers", "models", "prices", "budgets", "lanes", "alerts", "webhooks", "gateway", "breaker"})
# Inside a live group, what parts that go on were made with: the sender's connections, the lines of the pools.
_BUILT = frozenset({"webhooks.allow_private", "gateway.rate_limit_wait_s"})


class TakenAway(ConfigurationError):
    """What the work of a running process needs is no longer in the file: cut off, emptied, or not thought of."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}. What was in force stays: put it back, or restart the processes to go on without it")


@dataclass(frozen=True, slots=True)
class Renewal:
    """`settings` are in force from now on. `changed` names their new groups, `kept` the keys that need a restart."""

    settings: Settings
    changed: tuple[str, ...]
    kept: tuple[str, ...]


def renewed(now: Settings, names: Callable[[str], str | None] = lambda alias: None) -> Renewal:
    """The environment and the file, read again by a process that runs by `now`. Raises ConfigurationError, TakenAway.

    A file that was there and is gone is no wish for the defaults. `names` tells which workflow names an alias, if any.
    """
    loaded = load_settings()
    if now.config is not None and loaded.config is None:
        raise ConfigurationError(f"{now.config}: the file is gone")
    _refuse_loss(now, loaded, names)
    kept = tuple(_kept(now, loaded))
    settings = _with(loaded, now, kept)
    changed = tuple(name for name in sorted(LIVE) if getattr(settings, name) != getattr(now, name))
    return Renewal(settings, changed, kept)


def _refuse_loss(now: Settings, loaded: Settings, names: Callable[[str], str | None]) -> None:
    for group in ("providers", "models"):
        if getattr(now, group) and not getattr(loaded, group):
            raise TakenAway(f"{group}: {loaded.config or 'the environment'} names none any more")
    for alias in sorted(now.models.keys() - loaded.models.keys()):
        if workflow := names(alias):
            raise TakenAway(f"models.{alias}: {loaded.config} has it no more, and workflow {workflow} names it")


def _kept(now: Settings, loaded: Settings) -> Iterator[str]:
    """Keys that differ and cannot be taken, with a dot where only one setting of a group is meant."""
    for name in Settings.model_fields:
        old, new = getattr(now, name), getattr(loaded, name)
        if name == "config" or old == new:
            continue
        fields = getattr(type(old), "model_fields", ())
        inside = [f"{name}.{key}" for key in fields if getattr(old, key) != getattr(new, key)]
        if name in LIVE:
            yield from (key for key in inside if key in _BUILT)
        else:
            yield from inside or [name]


def _with(loaded: Settings, now: Settings, kept: tuple[str, ...]) -> Settings:
    """What was loaded, but for what is kept."""
    for key in kept:
        name, _, inner = key.partition(".")
        old, new = getattr(now, name), getattr(loaded, name)
        if inner:
            old = new.model_copy(update={inner: getattr(old, inner)})
        loaded = loaded.model_copy(update={name: old})
    return loaded
