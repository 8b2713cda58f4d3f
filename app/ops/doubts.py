"""What is valid in a configuration and yet hardly meant: prices of nobody, models whose price is not known."""

from __future__ import annotations

from collections.abc import Iterator

from app.clients.base import TokenUsage
from app.domain.clock import SYSTEM_CLOCK
from app.gateway.budgets.prices import Prices
from app.settings import Settings
from app.settings.settings import SIMULATED
from app.settings.stray import asked_models, stray_prices
from app.telemetry.logs import log

_NOTHING = TokenUsage(0, 0)


def doubts(settings: Settings) -> list[str]:
    """A sentence for each. Nothing is refused: a price may stand there for a provider that is to come, or was."""
    return [*stray_prices(settings), *_unknown_prices(settings)]


def note_doubts(settings: Settings) -> None:
    """The same in the log."""
    for doubt in doubts(settings):
        log("config").warning("configuration is doubtful", reason=doubt)


def _unknown_prices(settings: Settings) -> Iterator[str]:
    prices, ceiling = Prices(settings), settings.gateway.unknown_price_usd_per_million
    for provider in sorted(settings.providers):
        for model in sorted(asked_models(settings, provider)):
            if provider != SIMULATED and not prices.cost(provider, model, _NOTHING, SYSTEM_CLOCK.now()).known:
                yield (
                    f"the price of {provider}/{model} is not known: it counts {ceiling:g} dollars a million tokens; "
                    f'give it in prices."{provider}/{model}"'
                )
