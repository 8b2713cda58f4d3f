"""A configuration read again: what a running process takes, what waits for its restart, what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.settings import ConfigurationError, Settings, load_settings
from app.settings.renewal import TakenAway, renewed
from tests.settings.test_load import GOOD, write


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAIN_API_KEY", "sk-very-secret")


@pytest.fixture
def now() -> Settings:
    """What the process began with."""
    write(GOOD)
    return load_settings()


def test_an_unchanged_file_changes_nothing(now: Settings) -> None:
    renewal = renewed(now)
    assert (renewal.changed, renewal.kept) == ((), ())
    assert renewal.settings.model_dump() == now.model_dump()


@pytest.mark.parametrize(
    ("change", "group"),
    [
        (('"http://127.0.0.1:9100/v1"', '"http://127.0.0.1:9200/v1"'), "providers"),
        (("max_in_flight = 40", "max_in_flight = 41"), "providers"),
        (('model = "mini-1" }', 'model = "mini-2" }'), "models"),
        (('input = "0.15"', 'input = "0.16"'), "prices"),
        (("slots = 7", "slots = 8"), "lanes"),
        (('day_usd = "100.00"', 'day_usd = "90"'), "budgets"),
        (("allow_private = false", "timeout_s = 3"), "webhooks"),
        (("[webhooks]", "[alerts]\ndead_letters = 3\n[webhooks]"), "alerts"),
        (("[webhooks]", "[gateway]\nmax_slot_wait_s = 3\n[webhooks]"), "gateway"),
    ],
)
def test_what_is_taken(now: Settings, change: tuple[str, str], group: str) -> None:
    assert change[0] in GOOD
    write(GOOD.replace(*change))
    renewal = renewed(now)
    assert (renewal.changed, renewal.kept) == ((group,), ())
    assert getattr(renewal.settings, group) == getattr(load_settings(), group) != getattr(now, group)
    assert renewed(renewal.settings).changed == ()


def test_what_waits_for_a_restart_is_named_and_stays_while_the_rest_is_taken(now: Settings) -> None:
    changed = "pool_size = 20\ndatabase_url = 'postgresql://db/x'\n" + GOOD.replace("slots = 7", "slots = 8")
    changed = changed.replace("allow_private = false", "allow_private = true\ntimeout_s = 3")
    write(changed + "[http]\nmax_wait_s = 30\n[gateway]\nrate_limit_wait_s = 7\n")
    renewal = renewed(now)
    kept = ("database_url", "pool_size", "http.max_wait_s", "webhooks.allow_private", "gateway.rate_limit_wait_s")
    assert renewal.kept == kept
    assert renewal.changed == ("lanes", "webhooks")
    settings = renewal.settings
    assert (settings.pool_size, settings.database_url, settings.http) == (now.pool_size, now.database_url, now.http)
    assert (settings.webhooks.allow_private, settings.webhooks.timeout_s) == (False, 3)
    assert settings.lane("bulk").slots == 8
    again = renewed(settings)
    assert (again.changed, again.kept) == ((), renewal.kept), "it waits until the restart"


def test_a_key_that_was_rotated_in_its_file(now: Settings, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("sk-old\n")
    write(GOOD.replace('api_key_env = "MAIN_API_KEY"', f'api_key_file = "{path}"'))
    old = renewed(now).settings
    path.write_text("sk-new\n")
    renewal = renewed(old)
    key = renewal.settings.providers["main"].api_key
    assert (renewal.changed, key and key.get_secret_value()) == (("providers",), "sk-new")
    path.write_text("sk new")
    with pytest.raises(ConfigurationError, match=r"providers\.main\.api_key_file") as caught:
        renewed(old)
    assert "sk new" not in str(caught.value)


def test_a_file_that_is_gone_is_refused_and_one_that_comes_is_read(now: Settings) -> None:
    Path("laneway.toml").unlink()
    with pytest.raises(ConfigurationError, match=r"laneway\.toml: the file is gone"):
        renewed(now)
    without = load_settings()
    assert renewed(without).changed == ()
    write(GOOD)
    assert "models" in renewed(without).changed


def _without(*begins: str) -> str:
    """The good file without the tables that begin so."""
    tables = GOOD.strip().split("\n[")
    return "\n[".join(one for one in tables if not one.startswith(begins)) + "\n"


def test_a_file_that_takes_everything_away_is_refused(now: Settings) -> None:
    for text, key in (("", "providers"), ("lease_s = 4\n", "providers"), (_without("models"), "models")):
        write(text)
        with pytest.raises(TakenAway, match=rf"^{key}: .*laneway\.toml names none any more.*restart"):
            renewed(now)
    write(_without("budgets", "prices", "lanes"))
    assert renewed(now).changed == ("budgets", "lanes", "prices")


def test_an_alias_goes_only_where_no_workflow_names_it(now: Settings) -> None:
    write(GOOD + '[models.spare]\nladder = [{ provider = "main", model = "mini-2" }]\n')
    more = renewed(now).settings
    write(GOOD)
    with pytest.raises(TakenAway, match=r"^models\.spare: .* workflow shop names it"):
        renewed(more, {"spare": "shop"}.get)
    assert "spare" not in renewed(more, {"small": "shop"}.get).settings.models
