"""A real `laneway up` on the experiments' servers: the parent that keeps one API and two workers."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.stack import ROOT, Stack, until


class Parent:
    """A running parent."""

    def __init__(self, process: subprocess.Popen[bytes], data: Path) -> None:
        self.process = process
        self._data = data

    @property
    def note(self) -> dict[str, Any]:
        """What it tells tools, once it serves."""
        return dict(json.loads((self._data / "up.json").read_text()))

    def pid(self, child: str) -> int:
        """The process that runs under this name now."""
        return int(self.note["children"][child])

    def starts(self, child: str) -> int:
        """How many starts of the child have come to serve."""
        log = self._data / "logs" / f"{child}.log"
        return log.read_text().count('"event": "serving"') if log.exists() else 0


@contextmanager
def up(stack: Stack, *more: str, **environment: str) -> Iterator[Parent]:
    """`laneway up`, with two workers, until the end of the block; it must then drain and end with 0."""
    data = stack.folder / "up"
    words = [sys.executable, "-m", "app", "up", "--data", str(data), "--port", "0", *more]
    with (stack.folder / "up.log").open("wb") as log:
        process = subprocess.Popen(words, cwd=ROOT, env={**stack.environment, **environment}, stdout=log, stderr=log)
    try:
        until(lambda: (data / "up.json").exists() or process.poll() is not None, 60)
        assert process.poll() is None, (stack.folder / "up.log").read_text()
        parent = Parent(process, data)
        until(lambda: all(parent.starts(child) for child in ("worker-1", "worker-2")), 30)
        yield parent
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
