"""The Makefile and CI's script: what they promise, and what they say when the machine lacks something."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the Makefile and what it reads, and a lock that names a package no machine has."""
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "requirements.lock").write_text(f"laneway-no-such-package==1.0 --hash=sha256:{'0' * 64}\n")
    return tmp_path


def make(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    offline = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": "/dev/null", "PIP_FIND_LINKS": ""}
    return subprocess.run(
        ["make", "--no-print-directory", *words],
        cwd=folder,
        env={**plain_environment(), **offline},
        capture_output=True,
        text=True,
        timeout=60,
    )


def plain_environment() -> dict[str, str]:
    """Without what the make that runs these tests tells its children."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}


def program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_make_alone_lists_every_command() -> None:
    listed = make(ROOT).stdout
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony is not None
    assert [line.split()[1] for line in listed.splitlines()] == phony[1].split()


def test_without_python_the_debian_package_is_named(project: Path) -> None:
    done = make(project, ".venv", "PYTHONS=no-python-here")
    assert done.returncode != 0 and "apt-get install python3 python3-venv" in done.stderr
    assert not (project / ".venv").exists()


def test_without_venv_the_debian_package_is_named(project: Path) -> None:
    program(project / "python", 'case "$2" in *version_info*) exit 0;; *) exit 1;; esac')
    done = make(project, ".venv", f"PYTHONS={project}/python")
    assert done.returncode != 0 and "apt-get install python3-venv" in done.stderr


def test_an_environment_that_cannot_be_finished_is_removed(project: Path) -> None:
    done = make(project, ".venv")
    assert done.returncode != 0 and "laneway-no-such-package" in done.stderr
    assert not (project / ".venv").exists()


def test_the_lock_names_hashes_and_no_host() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    pinned = re.findall(r"^[a-z0-9][^\s;]*==\S+.*\\\n    --hash=sha256:", lock, re.MULTILINE)
    assert len(pinned) == len(re.findall(r"^[a-zA-Z0-9]", lock, re.MULTILINE)) > 50
    assert "://" not in lock and "--index" not in lock and "--find-links" not in lock


@pytest.mark.parametrize(("test", "lint", "code"), [(0, 0, 0), (1, 0, 1), (0, 1, 1)])
def test_ci_runs_both_and_fails_with_either(tmp_path: Path, test: int, lint: int, code: int) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci")
    rules = f"test:\n\t@echo tested; exit {test}\nlint:\n\t@echo linted; exit {lint}\nfaults:\n\t@echo tried\n"
    (tmp_path / "Makefile").write_text(rules)
    done = subprocess.run(
        ["bash", ".ci/run"], cwd=tmp_path, env=plain_environment(), capture_output=True, text=True, timeout=30
    )
    again = ["once more, alone: what failed", "tested"] if test else []
    assert (done.returncode, done.stdout.splitlines()) == (code, ["tested", *again, "linted", "tried"])
