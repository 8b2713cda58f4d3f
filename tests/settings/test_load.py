"""Settings: the file below the environment, and every refusal names its key."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from app.settings import ConfigurationError, load_settings, masked
from app.settings.refusal import explain

GOOD = """
[providers.main]
dialect = "openai"
base_url = "http://127.0.0.1:9100/v1"
api_key_env = "MAIN_API_KEY"
[providers.main.pools.mini]
models = ["mini-1"]
max_in_flight = 40
[models.small]
ladder = [{ provider = "main", model = "mini-1" }]
[lanes.bulk]
slots = 7
[budgets.project]
day_usd = "100.00"
[prices."main/mini-1"]
input = "0.15"
output = "0.60"
[webhooks]
allow_private = false
"""


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAIN_API_KEY", "sk-very-secret")


def write(text: str) -> None:
    Path("laneway.toml").write_text(text)


def refused() -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    return str(caught.value)


def test_the_file_is_read_and_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    write(GOOD)
    assert load_settings().lane("bulk").slots == 7
    monkeypatch.setenv("LANEWAY_LANES__BULK__SLOTS", "9")
    monkeypatch.setenv("LANEWAY_WEBHOOKS__ALLOW_PRIVATE", "true")
    settings = load_settings()
    assert settings.lane("bulk").slots == 9
    assert settings.webhooks.allow_private
    assert settings.ladder("small")[0].model == "mini-1"


def test_a_named_file_and_one_in_the_data_folder_are_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "laneway.toml").write_text(GOOD)
    assert load_settings(data).config == data / "laneway.toml"
    (tmp_path / "own.toml").write_text(GOOD)
    monkeypatch.setenv("LANEWAY_CONFIG", str(tmp_path / "own.toml"))
    assert load_settings(data).config == tmp_path / "own.toml"
    monkeypatch.setenv("LANEWAY_CONFIG", str(tmp_path / "none.toml"))
    assert "LANEWAY_CONFIG" in refused()


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (("slots = 7", 'slots = "many"'), "lanes.bulk.slots"),
        (("slots = 7", "slots = 0"), "lanes.bulk.slots"),
        (("[lanes.bulk]", "[lanes.express]"), "  lanes.express: there is no such lane"),
        (("[budgets.project]", "[budgets.shop]"), "  budgets.shop: is nobody's"),
        (('dialect = "openai"', 'dialect = "smoke"'), "providers.main.dialect"),
        (('provider = "main"', 'provider = "other"'), "  models.small.ladder: names provider 'other', which"),
        (("day_usd", "day_eur"), "budgets.project.day_eur"),
        (('"100.00"', '"-1"'), "budgets.project.day_usd"),
        (('"0.15"', '"cheap"'), "prices.main/mini-1.input"),
        (("[webhooks]", "[webhoks]"), "webhoks"),
        (('models = ["mini-1"]', "models = []"), "providers.main.pools.mini.models"),
        (('"http://127.0.0.1:9100/v1"', '"ftp://x"'), "providers.main.base_url"),
        (('api_key_env = "MAIN_API_KEY"', 'api_key = "sk-1"'), "providers.main.api_key"),
        (('model = "mini-1" }', 'model = "mini-1", weight = -1 }'), "models.small.ladder.0.weight"),
        (('model = "mini-1" }', 'model = "mini-1", weight = 0 }'), "models.small.ladder"),
    ],
)
def test_a_bad_key_is_named(change: tuple[str, str], names: str) -> None:
    assert change[0] in GOOD
    write(GOOD.replace(*change))
    said = refused()
    assert names in said and "laneway.toml" in said
    assert not any(word in said for word in ("Value error", "settings:", "LANEWAY_"))


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ('"many"', "unable to parse string as an integer (given: a text)"),
        ("0", "greater than or equal to 1 (given: a whole number)"),
        ("1.5", "valid integer, got a number with a fractional part (given: a number)"),
        ("[1]", "valid integer (given: a list)"),
    ],
)
def test_the_rule_and_the_kind_of_the_value_are_named(value: str, says: str) -> None:
    write(GOOD.replace("slots = 7", f"slots = {value}"))
    said = refused()
    assert "lanes.bulk.slots" in said and says in said
    assert "many" not in said


@pytest.mark.parametrize("text", ["[providers", "a = ", "\x00", "[a]\n[a]\n"])
def test_a_half_written_file_is_refused(text: str) -> None:
    write(text)
    assert "not valid TOML" in refused()


@pytest.mark.parametrize(
    ("name", "value", "names"),
    [
        ("LANEWAY_HTTP__MAX_WAIT_S", "-5", "http.max_wait_s"),
        ("LANEWAY_LEASE_S", "soon", "lease_s"),
        ("LANEWAY_MODE", "staging", "mode"),
        ("LANEWAY_BOOTSTRAP_KEY", "short", "bootstrap_key"),
        ("LANEWAY_HTTP__MAX_WAITS", "5", "http.max_waits"),
        ("LANEWAY_BUDGETS__PROJECT__DAY_USD", "-3", "budgets.project.day_usd"),
        ("LANEWAY_BUDGETS", '{"project": {"day_usd": -3}}', "budgets.project.day_usd"),
        ("LANEWAY_LANES__EXPRESS__SLOTS", "3", "lanes.express"),
        ("LANEWAY_PROVIDERS__OTHER__DIALECT", "openai", "providers.other.base_url"),
        ("LANEWAY_MODELS__Q__LADDER", '[{"provider": "nosuch", "model": "m"}]', "models.q.ladder"),
    ],
)
def test_a_bad_variable_is_named_and_the_file_is_not(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, names: str
) -> None:
    write(GOOD)
    monkeypatch.setenv(name, value)
    said = refused()
    assert f"  {name} ({names}): " in said
    assert "laneway.toml" not in said and "Value error" not in said


@pytest.mark.parametrize("name", ["LANEWAY_MODELS", "LANEWAY_WEBHOOKS__SCHEDULE_S", "LANEWAY_MODELS__Q__LADDER"])
def test_a_variable_that_is_no_json_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, '[{"key": "sk-1"')
    said = refused()
    assert name in said and "JSON" in said and "sk-1" not in said


def test_file_and_environment_are_each_blamed_for_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    write(GOOD.replace("slots = 7", "slots = 0"))
    monkeypatch.setenv("LANEWAY_LEASE_S", "soon")
    said = refused()
    assert "  LANEWAY_LEASE_S (lease_s): " in said and "  lanes.bulk.slots: " in said
    assert "laneway.toml" in said and "environment" in said


def test_production_refuses_the_default_pepper_and_private_webhooks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANEWAY_MODE", "production")
    assert "pepper" in refused()
    monkeypatch.setenv("LANEWAY_PEPPER", "x" * 40)
    assert load_settings().mode == "production"
    monkeypatch.setenv("LANEWAY_WEBHOOKS__ALLOW_PRIVATE", "true")
    assert "allow_private" in refused()


def test_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    write(GOOD)
    key = "lw_live_" + "c4nary" * 6
    monkeypatch.setenv("LANEWAY_BOOTSTRAP_KEY", key)
    monkeypatch.setenv("LANEWAY_DATABASE_URL", "postgresql://me:hunter2@db/x")
    shown = str(masked(load_settings()))
    assert "postgresql://me" in shown
    for secret in (key, "sk-very-secret", "hunter2", "development-pepper"):
        assert secret not in shown
    monkeypatch.setenv("LANEWAY_LEASE_S", "-1")
    assert key not in refused()


def test_a_provider_key_that_no_header_can_carry_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    write(GOOD)
    monkeypatch.setenv("MAIN_API_KEY", "sk one")
    assert "providers.main.api_key_env" in refused()


def test_a_missing_provider_key_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    write(GOOD)
    monkeypatch.delenv("MAIN_API_KEY")
    assert "providers.main.api_key_env" in refused()


def test_a_rule_without_a_key_is_blamed_on_no_variable() -> None:
    class Odd(BaseModel):
        mode: str

    with pytest.raises(ValidationError) as caught:
        Odd.model_validate({})
    said = explain(caught.value, Path("laneway.toml"), {"LANEWAY_LEASE_S": "4"})
    assert said.endswith("(laneway.toml):\n  mode: Field required")


def test_a_child_of_who_began_with_providers_is_not_served_by_the_simulated_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LANEWAY_SIMULATOR_URL", "http://127.0.0.1:9")
    write("")
    assert load_settings().simulated
    monkeypatch.setenv("LANEWAY_BEGAN_WITH_PROVIDERS", "true")
    assert "providers: there is none any more" in refused()
