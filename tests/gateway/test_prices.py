"""What a call costs, to the nano-dollar."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.clients.base import TokenUsage
from app.gateway.budgets.prices import Prices
from app.settings import GatewaySettings, PriceSettings, ProviderSettings, Settings

_AT = datetime(2026, 11, 21, tzinfo=UTC)


def _prices(base_url: str = "http://127.0.0.1:9/v1", **prices: PriceSettings) -> Prices:
    providers = {"main": ProviderSettings(dialect="openai", base_url=base_url)}
    return Prices(Settings(providers=providers, prices={f"main/{name}": price for name, price in prices.items()}))


def _price(given: str, output: str, cached: str | None = None) -> PriceSettings:
    return PriceSettings(
        input=Decimal(given), output=Decimal(output), cached_input=None if cached is None else Decimal(cached)
    )


def test_configured_prices_win() -> None:
    cost = _prices(mini=_price("0.15", "0.60")).cost("main", "mini", TokenUsage(1000, 500), _AT)
    assert (cost.nanos, cost.known) == (1000 * 150 + 500 * 600, True)
    own = Prices(Settings(prices={"main/gpt-4o-mini": _price("1", "2")}))
    assert own.cost("main", "gpt-4o-mini", TokenUsage(1, 1), _AT).nanos == 3000


def test_cached_tokens_at_their_own_price() -> None:
    usage = TokenUsage(1000, 0, 400)
    assert _prices(mini=_price("1", "2", "0.1")).cost("main", "mini", usage, _AT).nanos == 600_000 + 40_000
    assert _prices(mini=_price("1", "2")).cost("main", "mini", usage, _AT).nanos == 1_000_000


@pytest.mark.parametrize(
    ("base_url", "model", "usage", "nanos"),
    [
        ("https://api.openai.com/v1", "gpt-4o-mini", TokenUsage(1000, 500, 200), 435_000),
        ("http://127.0.0.1:9/v1", "gpt-4o-mini", TokenUsage(1000, 500, 200), 435_000),
        ("https://api.anthropic.com", "claude-sonnet-4-5", TokenUsage(1000, 100), 4_500_000),
        # Above 200,000 input tokens this model costs twice as much.
        ("https://api.anthropic.com", "claude-sonnet-4-5", TokenUsage(300_000, 100), 1_802_250_000),
        # Of this one each request costs 1.2 cents besides.
        ("https://api.perplexity.ai", "sonar", TokenUsage(1000, 300), 13_300_000),
    ],
)
def test_listed_prices(base_url: str, model: str, usage: TokenUsage, nanos: int) -> None:
    prices = _prices(base_url)
    for _ in range(2):
        cost = prices.cost("main", model, usage, _AT)
        assert (cost.nanos, cost.known) == (nanos, True)


def test_a_provider_may_be_known_by_its_name() -> None:
    providers = {"openai": ProviderSettings(dialect="openai", base_url="http://127.0.0.1:9/v1")}
    cost = Prices(Settings(providers=providers)).cost("openai", "gpt-4o-mini", TokenUsage(1, 0), _AT)
    assert (cost.nanos, cost.known) == (150, True)


def test_an_unknown_price_is_the_ceiling_and_says_so() -> None:
    cost = _prices().cost("main", "mini-1", TokenUsage(10, 10), _AT)
    assert (cost.nanos, cost.known) == (20 * 50_000, False)
    cheap = Settings(gateway=GatewaySettings(unknown_price_usd_per_million=0.1))
    assert Prices(cheap).cost("main", "mini-1", TokenUsage(10, 10), _AT).nanos == 2000


def test_the_simulated_provider_has_an_illustrative_price() -> None:
    cost = Prices(Settings()).cost("simulated", "small-sim", TokenUsage(1000, 500), _AT)
    assert (cost.nanos, cost.known) == (450_000, True)
    own = Prices(Settings(prices={"simulated/small-sim": _price("1", "1")}))
    assert own.cost("simulated", "small-sim", TokenUsage(1000, 500), _AT).nanos == 1_500_000


_DOLLARS = st.decimals(0, 1000, places=5)
_TOKENS = st.integers(0, 10_000_000)


@given(_DOLLARS, _DOLLARS, _DOLLARS, _TOKENS, _TOKENS, _TOKENS)
def test_exact_to_half_a_nano_dollar(
    given_: Decimal, output: Decimal, cached: Decimal, sent: int, received: int, reused: int
) -> None:
    usage = TokenUsage(sent, received, min(sent, reused))
    price = PriceSettings(input=given_, output=output, cached_input=cached)
    exact = 1000 * (
        Fraction(given_) * (usage.input - usage.cached) + Fraction(cached) * usage.cached + Fraction(output) * received
    )
    found = _prices(mini=price).cost("main", "mini", usage, _AT).nanos
    assert abs(found - exact) <= Fraction(1, 2)


def test_what_is_written_to_a_cache_has_its_own_price() -> None:
    providers = {"anthropic": ProviderSettings(dialect="anthropic", base_url="https://api.anthropic.com")}
    prices = Prices(Settings(providers=providers))

    def cost(usage: TokenUsage) -> int:
        found = prices.cost("anthropic", "claude-haiku-4-5", usage, _AT)
        assert found.known
        return found.nanos

    fresh = cost(TokenUsage(1000, 0))
    assert cost(TokenUsage(1000, 0, cached=1000)) * 10 == fresh
    assert cost(TokenUsage(1000, 0, written=1000)) * 4 == fresh * 5
    assert cost(TokenUsage(2000, 10, 500, 500)) == cost(TokenUsage(1500, 10, 500)) + fresh * 5 // 8
    assert _prices(mini=_price("1", "1")).cost("main", "mini", TokenUsage(8, 0, 0, 4), _AT).nanos == 8000
