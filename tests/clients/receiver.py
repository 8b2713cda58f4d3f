"""Starts the webhook receiver in a process of its own: `with receiver() as hooks`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[2]


class Hooks:
    """A running receiver: give a path its answers, read what came."""

    def __init__(self, url: str, certificate: Path | None) -> None:
        self.url = url
        self._http = httpx.Client(base_url=url, trust_env=False, verify=not certificate)

    def answer(self, path: str, *answers: dict[str, Any]) -> str:
        """Set the answers of a path; the URL to post to."""
        self._http.put("/script", params={"path": path}, json=list(answers) or [{}]).raise_for_status()
        return self.url + path

    def received(self, path: str) -> list[dict[str, Any]]:
        """The arrivals of a path, in order."""
        data: list[dict[str, Any]] = (
            self._http.get("/received", params={"path": path}).raise_for_status().json()["data"]
        )
        return data

    def close(self) -> None:
        self._http.close()


@contextmanager
def receiver(*, journal: Path | None = None, tls: tuple[Path, Path] | None = None) -> Iterator[Hooks]:
    """A receiver until the end of the block; `tls` is certificate and key."""
    more = ["--journal", str(journal)] if journal else []
    more += ["--tls-cert", str(tls[0]), "--tls-key", str(tls[1])] if tls else []
    command = [sys.executable, "-m", "app.loadtest.receiver", *more]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        hooks = Hooks(process.stdout.readline().strip(), tls[0] if tls else None)
        try:
            yield hooks
        finally:
            hooks.close()
            process.kill()
