"""Routes: which targets an alias stands for, in which order, and the pool that each of them shares."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from app.domain import canonical
from app.domain.errors import ProcessingError, SystemFault
from app.gateway.pools.pool import Pool
from app.settings import LadderTarget, ProviderSettings, Settings
from app.settings.settings import SIMULATED

_UNLIMITED_PER_MINUTE = 60_000_000


@dataclass(frozen=True, slots=True)
class Target:
    """One provider's model, and the pool its calls count in."""

    provider: str
    model: str
    pool: Pool


class Routes:
    """Reads aliases, ladders and pools from the settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._known: dict[tuple[str, str], Target] = {}

    def aliases(self) -> frozenset[str] | None:
        """The configured aliases; None when the simulated provider serves any."""
        return None if self._settings.simulated else frozenset(self._settings.models)

    def targets(self, alias: str, test_mode: bool, share: float = 0.0) -> tuple[Target, ...]:
        """The ladder in the order in which it is asked; in test mode the simulated provider alone.

        `share`, from 0 up to 1, is the call's place in the sum of the weights: it decides who is asked first.
        Raises ProcessingError for an alias that is not configured, SystemFault when test mode has no provider.
        """
        ladder = self._ladder(alias)
        if test_mode:
            ladder = self._simulated(alias)
        return tuple(self._target(rung.provider, rung.model) for rung in in_turn(ladder, share))

    def pools(self) -> dict[str, tuple[str, ...]]:
        """The models of each pool that is configured, by its name: those named as one, and those that ladders name."""
        found = {
            f"{provider}/{name}": tuple(pool.models)
            for provider, settings in self._settings.providers.items()
            for name, pool in settings.pools.items()
        }
        for alias in self._settings.models:
            for target in self.targets(alias, test_mode=False):
                found.setdefault(target.pool.name, (target.model,))
        return found

    def _ladder(self, alias: str) -> tuple[LadderTarget, ...]:
        try:
            return self._settings.ladder(alias)
        except KeyError:
            known = ", ".join(sorted(self._settings.models)) or "none"
            raise ProcessingError(
                f"model alias {alias[:100]!r} is not configured (configured: {known})", code="workflow_error"
            ) from None

    def _simulated(self, alias: str) -> tuple[LadderTarget, ...]:
        if not self._settings.takes_test_keys:
            raise SystemFault("a test key needs the simulated provider: set simulator_url to where it listens")
        return (LadderTarget(provider=SIMULATED, model=f"{alias}-sim"),)

    def _target(self, provider: str, model: str) -> Target:
        target = self._known.get((provider, model))
        if target is None:
            target = self._known[(provider, model)] = Target(provider, model, self._pool(provider, model))
        return target

    def _pool(self, provider: str, model: str) -> Pool:
        default = self._settings.gateway.max_in_flight
        configured = self._settings.providers.get(provider)
        credential = _mark_of(configured) if configured else None
        for name, pool in configured.pools.items() if configured else ():
            if model in pool.models:
                return Pool(
                    f"{provider}/{name}",
                    pool.max_in_flight or default,
                    pool.requests_per_minute,
                    pool.tokens_per_minute,
                    at_once=pool.max_in_flight,
                    credential=credential,
                    window=pool.window,
                )
        if provider == SIMULATED:
            # Our own has no limits that would have to be found out.
            return Pool(f"{provider}/{model}", default, _UNLIMITED_PER_MINUTE, at_once=default)
        return Pool(f"{provider}/{model}", default, credential=credential)


def _mark_of(provider: ProviderSettings) -> str:
    """Changes when the provider's address or key does, and tells nothing of either."""
    key = provider.api_key.get_secret_value() if provider.api_key else ""
    return canonical.digest("credential", provider.base_url, key).hex()[:16]


def in_turn(ladder: Sequence[LadderTarget], share: float) -> list[LadderTarget]:
    """From the top where no target names a weight. Else the one at `share` of all weights first, then the others."""
    if all(rung.weight is None for rung in ladder):
        return list(ladder)
    weights = [1 if rung.weight is None else rung.weight for rung in ladder]
    first = bisect_right(list(accumulate(weights)), share * sum(weights))
    return [ladder[first], *ladder[:first], *ladder[first + 1 :]]
