"""Which client speaks to which provider."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from app.clients.dialect import build_clients
from app.clients.openai import OpenAIClient
from app.settings import ConfigurationError, ProviderSettings, Settings


def _settings(**provider: Any) -> Settings:
    given = {"dialect": "openai", "base_url": "http://127.0.0.1:9/v1", **provider}
    return Settings(providers={"main": ProviderSettings(**given)})


async def test_a_client_for_each_provider(http: httpx.AsyncClient) -> None:
    clients = build_clients(_settings(), http)
    assert list(clients) == ["main"]
    assert isinstance(clients["main"], OpenAIClient)


async def test_the_simulated_provider_has_one_wherever_it_runs(http: httpx.AsyncClient) -> None:
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
    http: httpx.AsyncClient, provider: dict[str, Any], key: str
) -> None:
    with pytest.raises(ConfigurationError, match=key) as caught:
        build_clients(_settings(**provider), http)
    assert "two words" not in str(caught.value)
