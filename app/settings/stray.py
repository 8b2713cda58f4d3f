"""Prices in a configuration that price nothing: of a provider, or a model, that nobody asks."""

from __future__ import annotations

from collections.abc import Iterator

from app.settings.settings import SIMULATED, Settings


def stray_prices(settings: Settings) -> Iterator[str]:
    """Why a price is that of nobody: a sentence for each. One for a provider that is to come may well stand."""
    for name in settings.prices:
        provider, slash, model = name.partition("/")
        key = f'prices."{name}"'
        if not slash:
            yield f"{key} prices nothing: name it PROVIDER/MODEL"
        elif provider not in settings.providers and provider != SIMULATED:
            known = ", ".join(sorted(settings.providers)) or "none"
            yield f"{key} prices nothing: no provider {provider!r} is configured (configured: {known})"
        elif provider in settings.providers and model not in asked_models(settings, provider):
            yield f"{key} prices nothing: no ladder and no pool of {provider} names the model {model!r}"


def asked_models(settings: Settings, provider: str) -> set[str]:
    """Those of a provider that ladders and pools name."""
    rungs = {rung.model for alias in settings.models.values() for rung in alias.ladder if rung.provider == provider}
    return rungs.union(*(pool.models for pool in settings.providers[provider].pools.values()))
