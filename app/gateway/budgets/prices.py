"""What a call cost: configured prices, else the list that ships with the product, else the ceiling for unknown ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

from genai_prices import Usage
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelInfo, Provider

from app.clients.base import TokenUsage
from app.domain.money import NANOS_PER_DOLLAR
from app.settings import PriceSettings, Settings
from app.settings.settings import SIMULATED

# What the simulated provider's tokens count as where nothing else is configured: illustrative, nobody is charged.
SIMULATED_PRICE = PriceSettings(input=Decimal("0.15"), output=Decimal("0.60"))
_TOKENS = 1_000_000
# How the list names what is paid by the thousand requests, searches or messages.
_EACH = "_kcount"


@dataclass(frozen=True, slots=True)
class Cost:
    """Nano-dollars; `known` is False where the price or the token count had to be assumed."""

    nanos: int
    known: bool


_Pricing = Callable[[TokenUsage, datetime], Decimal]


class Prices:
    """Looks each model up once. Arithmetic is exact; the sum of a call is rounded once, half up, to a nano-dollar."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._known: dict[tuple[str, str], tuple[_Pricing, bool]] = {}

    def cost(self, provider: str, model: str, usage: TokenUsage, at: datetime) -> Cost:
        """What these tokens cost at that moment."""
        found = self._known.get((provider, model))
        if found is None:
            found = self._known[(provider, model)] = self._find(provider, model)
        pricing, known = found
        return Cost(_rounded(pricing(usage, at) * NANOS_PER_DOLLAR), known)

    def _find(self, provider: str, model: str) -> tuple[_Pricing, bool]:
        configured = self._settings.prices.get(f"{provider}/{model}")
        if configured is None and provider == SIMULATED:
            configured = SIMULATED_PRICE
        if configured is not None:
            return _flat(configured), True
        listed = _listed(model, provider, self._base_url(provider))
        if listed is not None:
            return _from_list(*listed), True
        ceiling = Decimal(str(self._settings.gateway.unknown_price_usd_per_million))
        return _flat(PriceSettings(input=ceiling, output=ceiling)), False

    def _base_url(self, provider: str) -> str | None:
        settings = self._settings.providers.get(provider)
        return settings.base_url if settings else None


def _flat(price: PriceSettings) -> _Pricing:
    """Dollars by one price for a million tokens of each kind; cached input costs the input's where none is named."""
    cached = price.input if price.cached_input is None else price.cached_input

    def pricing(usage: TokenUsage, at: datetime) -> Decimal:
        fresh = usage.input - usage.cached
        return (price.input * fresh + cached * usage.cached + price.output * usage.output) / _TOKENS

    return pricing


def _listed(model: str, provider: str, base_url: str | None) -> tuple[Provider, ModelInfo] | None:
    """The list's entry: by the provider's address, else by its name, else by the model's name alone."""
    snapshot = get_snapshot()
    for provider_id, url in ((None, base_url), (provider, None), (None, None)):
        try:
            return snapshot.find_provider_model(model, None, provider_id, url)
        except LookupError:
            continue
    return None


def _from_list(provider: Provider, model: ModelInfo) -> _Pricing:
    """Prices by tier, by time of day, for each request or for what is written to a cache are left to the list's own
    arithmetic; the common flat ones are read once.
    """
    listed = _by_list(provider, model)
    prices = None if isinstance(model.prices, list) else model.prices
    rates = prices and (prices.input_mtok, prices.output_mtok, prices.cache_read_mtok)
    if (
        rates
        and not any(name.endswith(_EACH) for name in vars(prices))
        and isinstance(rates[0], Decimal)
        and isinstance(rates[1], Decimal)
        and isinstance(rates[2], Decimal | None)
    ):
        flat = _flat(PriceSettings(input=rates[0], output=rates[1], cached_input=rates[2]))
        return lambda usage, at: listed(usage, at) if usage.written else flat(usage, at)
    return listed


def _by_list(provider: Provider, model: ModelInfo) -> _Pricing:
    def pricing(usage: TokenUsage, at: datetime) -> Decimal:
        counted = Usage(
            input_tokens=usage.input,
            output_tokens=usage.output,
            cache_read_tokens=usage.cached,
            cache_write_tokens=usage.written,
        )
        return model.calc_price(counted, provider, genai_request_timestamp=at).total_price

    return pricing


def _rounded(nanos: Decimal) -> int:
    return int(nanos.to_integral_value(ROUND_HALF_UP))
