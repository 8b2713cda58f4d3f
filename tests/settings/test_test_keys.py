"""Test keys need a simulated provider whose address is known."""

from __future__ import annotations

import pytest

from app.settings import ProviderSettings, Settings

_REAL = ProviderSettings(dialect="openai", base_url="https://models.example.com/v1")


@pytest.mark.parametrize(
    ("settings", "takes"),
    [
        (Settings(simulator_url=None), False),
        (Settings(simulator_url=None, providers={"main": _REAL}), False),
        (Settings(simulator_url="http://127.0.0.1:9", providers={"main": _REAL}), True),
        (Settings(simulator_url=None, providers={"simulated": _REAL}), True),
    ],
)
def test_where_a_simulated_provider_listens(settings: Settings, takes: bool) -> None:
    assert settings.takes_test_keys is takes
