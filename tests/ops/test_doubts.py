"""What `config check` and a start say of a valid configuration that is hardly meant."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from app.ops.doubts import doubts, note_doubts
from app.settings import load_settings
from tests.stack import ROOT

_FILE = """
[providers.main]
dialect = "openai"
base_url = "http://127.0.0.1:9100/v1"
[models.small]
ladder = [{{ provider = "main", model = "mini-1" }}]
[prices."{priced}"]
input = "0.15"
output = "0.60"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _doubts(folder: Path, priced: str) -> list[str]:
    (folder / "laneway.toml").write_text(_FILE.format(priced=priced))
    return doubts(load_settings())


def test_a_price_of_what_is_asked_leaves_no_doubt(folder: Path) -> None:
    assert _doubts(folder, "main/mini-1") == []


@pytest.mark.parametrize(
    ("priced", "why"),
    [
        ("nosuch/q", "no provider 'nosuch' is configured (configured: main)"),
        ("main/mini-l", "no ladder and no pool of main names the model 'mini-l'"),
        ("mini-1", "name it PROVIDER/MODEL"),
    ],
)
def test_a_price_of_nobody_and_the_one_that_is_missing_then(folder: Path, priced: str, why: str) -> None:
    stray, unknown = _doubts(folder, priced)
    assert stray == f'prices."{priced}" prices nothing: {why}'
    assert unknown.startswith("the price of main/mini-1 is not known: it counts 50 dollars a million tokens")


def test_the_simulated_provider_may_be_priced(folder: Path) -> None:
    (folder / "laneway.toml").write_text('[prices."simulated/small-sim"]\ninput = "1"\noutput = "2"\n')
    assert doubts(load_settings()) == []


def test_the_check_says_them_beside_what_is_in_force(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _doubts(folder, "nosuch/q")
    done = subprocess.run(
        [sys.executable, "-m", "app", "config", "check"],
        cwd=folder, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert 'warning: prices."nosuch/q" prices nothing: no provider' in done.stderr
    assert done.stdout.startswith("{")
    note_doubts(load_settings())
    assert "nosuch/q" in capsys.readouterr().out
