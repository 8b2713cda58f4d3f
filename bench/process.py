"""A process of a peer: started from the root of the project, ended with the block, its words in a file."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.supervise.children import Program, spawn

ROOT = Path(__file__).resolve().parents[1]
_START_S = 30.0
_STOP_S = 15.0


@dataclass(frozen=True, slots=True)
class Process:
    """A started process and the words that made it ready."""

    pid: int
    said: re.Match[str]


@contextmanager
def process(name: str, argv: tuple[str, ...], log: Path, ready: str, **environment: str) -> Iterator[Process]:
    """Run it until the end of the block. `ready` is the pattern it writes once it serves. Main thread only."""
    child = spawn(Program(name, argv, {**os.environ, **environment}, cwd=ROOT, log=log))
    try:
        yield Process(child.pid, until_said(log, ready, child))
    finally:
        child.terminate()
        try:
            child.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def until_said(log: Path, ready: str, child: subprocess.Popen[bytes] | None = None) -> re.Match[str]:
    """Wait for the pattern in a log. Raises RuntimeError with its last lines after 30 s, or when the process ended."""
    end = time.monotonic() + _START_S
    while True:
        words = log.read_text(errors="replace") if log.exists() else ""
        if found := re.search(ready, words):
            return found
        if time.monotonic() > end or (child is not None and child.poll() is not None):
            raise RuntimeError(f"{log.name} never said {ready!r}:\n{words[-2000:]}")
        time.sleep(0.01)
