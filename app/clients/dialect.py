"""Which client speaks to which provider."""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx

from app.clients.anthropic import AnthropicClient
from app.clients.base import ModelClient
from app.clients.openai import OpenAIClient
from app.domain.clock import SYSTEM_CLOCK, Clock
from app.settings import ConfigurationError, ProviderSettings, Settings
from app.settings.settings import SIMULATED

_Opens = Callable[[str, ProviderSettings, httpx.AsyncBaseTransport, Clock], ModelClient]
_DIALECTS: dict[str, _Opens] = {"openai": OpenAIClient, "anthropic": AnthropicClient}
_KEY = re.compile(r"^[\x21-\x7e]+$")


def build_clients(
    settings: Settings, http: httpx.AsyncBaseTransport, clock: Clock = SYSTEM_CLOCK
) -> dict[str, ModelClient]:
    """A client for each provider by its name, and for the simulated one if it runs. Raises ConfigurationError."""
    providers = dict(settings.providers)
    if settings.simulator_url is not None and SIMULATED not in providers:
        providers[SIMULATED] = ProviderSettings(dialect="openai", base_url=f"{settings.simulator_url}/v1")
    return {name: _client(name, provider, http, clock) for name, provider in providers.items()}


def _client(name: str, provider: ProviderSettings, http: httpx.AsyncBaseTransport, clock: Clock) -> ModelClient:
    if provider.api_key is not None and not _KEY.match(provider.api_key.get_secret_value()):
        where = "api_key_file" if provider.api_key_file else "api_key_env"
        raise ConfigurationError(f"providers.{name}.{where}: the key is empty or holds spaces or control characters")
    try:
        return _DIALECTS[provider.dialect](name, provider, http, clock)
    except httpx.InvalidURL as error:
        raise ConfigurationError(f"providers.{name}.base_url: {error}") from None
