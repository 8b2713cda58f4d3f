"""Runs `aimock`, a provider that nobody here wrote, and has its journal judged by `llmock`, which nobody here wrote."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from llmock.journal import RequestRecord, fingerprint
from llmock.verdict import Verdict, judge

from tests.stack import free_port, until

_LOCK = Path(__file__).with_name("aimock")
# Where a lock has no addresses, npm takes them from its own configuration.
_INSTALL = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")


def installed(folder: Path) -> Path:
    """The command of the locked version, in a folder of its own. Skips where node, npm or the package can't be had:
    but not where a CI says so (`CI`) and node is there.
    """
    for command in ("node", "npm"):
        if shutil.which(command) is None:
            pytest.skip(f"aimock is a program for Node.js, and {command} is not installed")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(_LOCK / name, folder)
    ended = subprocess.run(_INSTALL, cwd=folder, capture_output=True, text=True, timeout=180)
    if ended.returncode:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"npm could not fetch aimock: {ended.stderr[-500:]}")
    return folder / "node_modules" / ".bin" / "llmock"


@dataclass(frozen=True, slots=True)
class Aimock:
    """One that runs, in a process of its own."""

    http: httpx.Client
    port: int

    def chaos(self, **rates: float) -> None:
        """How often calls fail by chance from now on, by the names that it has for that."""
        self.http.post("/__aimock/chaos", json=rates).raise_for_status()

    def journal(self) -> list[dict[str, Any]]:
        """All that came, and how it was answered."""
        found: list[dict[str, Any]] = self.http.get("/__aimock/journal").raise_for_status().json()
        return [entry for entry in found if entry["method"] == "POST" and entry["path"].startswith("/v1/")]


@contextmanager
def running(command: Path, fixtures: Sequence[dict[str, Any]], folder: Path) -> Iterator[Aimock]:
    """Serves these fixtures; ended by its process id."""
    port, file = free_port(), folder / "fixtures.json"
    file.write_text(json.dumps({"fixtures": fixtures}))
    options = ("-p", str(port), "-f", str(file), "--journal-max", "0", "--validate-on-load", "--log-level", "silent")
    with subprocess.Popen(["node", str(command), *options]) as process:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20, trust_env=False) as http:
                until(lambda: _answers(http), 60)
                yield Aimock(http, port)
        finally:
            process.terminate()


def verdict_on(journal: Sequence[dict[str, Any]]) -> Verdict:
    """What llmock thinks of a client of whom aimock has kept this journal."""
    return judge(_record(number, entry) for number, entry in enumerate(journal))


def _record(number: int, entry: dict[str, Any]) -> RequestRecord:
    """An entry in llmock's words. It has one time: a call's beginning and, as nothing takes time there, its end."""
    answer, at_s = entry["response"], entry["timestamp"] / 1000
    fixture = answer.get("fixture") or {}
    chance = answer.get("chaosAction")
    whole = chance not in ("disconnect", "malformed") and not answer.get("interrupted")
    named_s = 1.0 if chance == "rateLimit" else fixture.get("response", {}).get("retryAfter")
    cut = answer.get("interruptReason") == "truncateAfterChunks"
    return RequestRecord(
        seq=number,
        provider=entry["path"],
        method=entry["method"],
        path=entry["path"],
        started_at=at_s,
        ended_at=at_s,
        status=answer["status"],
        fingerprint=fingerprint(entry["method"], entry["path"], entry["body"]),
        fault="stream:truncate" if cut else chance or ("fixture" if answer["status"] >= 400 else None),
        retry_after=named_s if answer["status"] == 429 else None,
        completed=whole,
    )


def _answers(http: httpx.Client) -> bool:
    try:
        return http.get("/__aimock/chaos").status_code == 200
    except httpx.TransportError:
        return False
