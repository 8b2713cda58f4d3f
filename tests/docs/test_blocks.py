"""Every block is of a kind that some test checks: programs load, configurations are valid."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Block, every

# What the others are checked by: bash, json and http run; text and mermaid are pictures.
_KINDS = {"bash", "json", "http", "python", "toml", "text", "mermaid"}


def test_every_block_is_of_a_known_kind() -> None:
    assert not [block.place for block in every() if block.language not in _KINDS]


def test_every_program_has_a_file_name_of_its_own() -> None:
    names = Counter(block.file_name for block in every("python"))
    assert None not in names
    assert not [name for name, count in names.items() if count > 1]


def test_every_workflow_is_taken_into_the_catalogue(tmp_path: Path) -> None:
    modules = []
    for block in every("python"):
        (tmp_path / str(block.file_name)).write_text(block.text)
        if "@workflow(" in block.text:
            modules.append(str(block.file_name).removesuffix(".py"))
    assert modules
    found = _config_check(tmp_path, LANEWAY_WORKFLOWS=",".join(modules))
    assert len(json.loads(found)["catalogue"]) >= len(modules)


@pytest.mark.parametrize("block", every("toml"), ids=lambda block: block.place)
def test_a_configuration_is_valid(block: Block, tmp_path: Path) -> None:
    assert block.file_name == "laneway.toml", block.place
    (tmp_path / "laneway.toml").write_text(block.text)
    providers = tomllib.loads(block.text).get("providers", {}).values()
    keys = {provider["api_key_env"]: "key" for provider in providers if "api_key_env" in provider}
    assert json.loads(_config_check(tmp_path, **keys))["config"].endswith("laneway.toml")


def _config_check(folder: Path, **environment: str) -> str:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("LANEWAY_")}
    done = subprocess.run(
        [sys.executable, "-m", "app", "config", "check"],
        cwd=folder,
        env={**plain, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return "\n".join(line for line in done.stdout.splitlines() if not line.startswith('{"'))
