"""Which client speaks to which provider."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from app.clients.anthropic import AnthropicClient
from app.clients.dialect import build_clients
from app.clients.openai import OpenAIClient
from app.settings import ConfigurationError, ProviderSettings, Settings


def _settings(**provider: Any) -> Settings:
    read = ProviderSettings(dialect="openai", base_url="http://127.0.0.1:9/v1")
    return Settings(providers={"main": read.model_copy(update=provider)})


async def test_a_client_for_each_provider(http: httpx.AsyncBaseTransport) -> None:
    for dialect, kind in (("openai", OpenAIClient), ("anthropic", AnthropicClient)):
        clients = build_clients(_settings(dialect=dialect), http)
        assert list(clients) == ["main"]
        assert isinstance(clients["main"], kind)


async def test_the_simulated_provider_has_one_wherever_it_runs(http: httpx.AsyncBaseTransport) -> None:
    assert list(build_clients(Settings(simulator_url="http://127.0.0.1:9"), http)) == ["simulated"]
    both = _settings().model_copy(update={"simulator_url": "http://127.0.0.1:9"})
    assert list(build_clients(both, http)) == ["main", "simulated"]


@pytest.mark.parametrize(
    ("provider", "key"),
    [
        ({"api_key": SecretStr("two words"), "api_key_env": "MAIN_KEY"}, "providers.main.api_key_env"),
        ({"api_key": SecretStr(""), "api_key_file": "/key"}, "providers.main.api_key_file"),
        ({"base_url": "http://[::1:9/v1"}, "providers.main.base_url"),
    ],
)
async def test_a_provider_that_cannot_be_served_is_named(
    http: httpx.AsyncBaseTransport, provider: dict[str, Any], key: str
) -> None:
    with pytest.raises(ConfigurationError, match=key) as caught:
        build_clients(_settings(**provider), http)
    assert "two words" not in str(caught.value)
