"""`laneway up`: how options and settings become one plan, and a refused configuration."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from app.cli.up import plan_of, up
from app.settings import load_settings

_PROVIDER = """
[providers.here]
dialect = "openai"
base_url = "http://127.0.0.1:1/v1"
[providers.here.pools.main]
models = ["m"]
"""


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without configuration, and a data directory in it."""
    for name in ("CONFIG", "DATABASE_URL", "REDIS_URL", "BOOTSTRAP_KEY", "SIMULATOR_URL"):
        monkeypatch.delenv(f"LANEWAY_{name}", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def test_no_configuration_embeds_and_simulates(data: Path) -> None:
    plan = plan_of(load_settings(data), data=data, host="127.0.0.1", port=0, api=2, workers=3, verbose=True)
    assert (plan.api, plan.workers, plan.verbose, plan.port) == (2, 3, True, 0)
    assert plan.simulate and not plan.providers and plan.config is None and plan.bootstrap_key is None
    assert (plan.database_url, plan.redis_url) == ("", "")
    assert plan.drain_s > load_settings(data).drain_s


def test_configuration_in_the_data_directory_reaches_the_children(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (data / "laneway.toml").write_text(_PROVIDER)
    monkeypatch.setenv("LANEWAY_DATABASE_URL", "postgresql://somewhere/else")
    monkeypatch.setenv("LANEWAY_BOOTSTRAP_KEY", "lw_live_" + "k" * 32)
    plan = plan_of(load_settings(data), data=data, host="::1", port=1, api=1, workers=0, verbose=False)
    assert plan.providers and plan.config == data / "laneway.toml"
    assert plan.simulate, "for test keys"
    assert plan.database_url == "postgresql://somewhere/else" and plan.bootstrap_key == "lw_live_" + "k" * 32


def test_no_second_simulator_beside_a_given_one(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (data / "laneway.toml").write_text(_PROVIDER)
    monkeypatch.setenv("LANEWAY_SIMULATOR_URL", "http://127.0.0.1:9")
    plan = plan_of(load_settings(data), data=data, host="::1", port=1, api=1, workers=0, verbose=False)
    assert plan.providers and not plan.simulate


def test_refused_configuration_is_said_and_starts_nothing(data: Path) -> None:
    (data / "laneway.toml").write_text("lease_s = -1\n")
    program = typer.Typer()
    program.command()(up)
    result = CliRunner().invoke(program, ["--data", str(data), "--port", "0"])
    assert result.exit_code == 78 and "lease_s" in result.output
    assert [path.name for path in data.iterdir()] == ["laneway.toml"]
