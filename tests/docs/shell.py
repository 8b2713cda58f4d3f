"""Runs the documentation's commands as a reader does: in one folder, page by page, on a service that they start."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from tests.docs.pages import ROOT, Block, blocks, every
from tests.stack import bearer, free_port

# Ports that the pages name as examples; each is a free one here.
_PORTS = re.compile(r"\b(8000|8001|9000)\b")
DATABASE_URL = "postgresql://laneway:secret@db.example.com:5432/laneway"
REDIS_URL = "redis://redis.example.com:6379/0"
_START_S = 60
_BLOCK_S = 60
_END_S = 30


class Shell:
    """A folder with the pages' files, and the environment that commands leave to the next ones of their page."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports: dict[str, str] = {}
        self.addresses: dict[str, str] = {}
        self._started: list[subprocess.Popen[bytes]] = []
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("LANEWAY_")}
        self._environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._environment["PYTHONPATH"] = str(ROOT)
        for block in every("python"):
            (folder / (block.file_name or "nameless.py")).write_text(block.text, encoding="utf-8")

    def run(self, block: Block) -> str:
        """Run a block of commands to its end; what it wrote. Raises AssertionError with that when it fails."""
        state = self.folder / f".state-{block.page.stem}"
        output = self.folder / f".output-{block.page.stem}-{block.line}"
        script = (
            f"set -euo pipefail\nset -a\n[ ! -e {state} ] || . {state}\n{self._real(block.text)}\nexport -p > {state}"
        )
        process = self._start(script, output)
        try:
            code = process.wait(_BLOCK_S)
        except subprocess.TimeoutExpired:
            code = -1
        said = output.read_text(errors="replace")
        assert code == 0, f"{block.place} ended with {code}:\n{block.text}\n{said}"
        return said

    def serve(self, block: Block, ready: str) -> None:
        """Start a block whose last command serves, and wait until it has said `ready`."""
        output = self.folder / f".output-{block.page.stem}-{block.line}"
        process = self._start(f"set -euo pipefail\n{self._real(block.text)}", output)
        end = time.monotonic() + _START_S
        while ready not in output.read_text(errors="replace"):
            assert process.poll() is None and time.monotonic() < end, output.read_text(errors="replace")
            time.sleep(0.05)

    def client(self) -> httpx.Client:
        """A client of the service, with its key."""
        key = (self.folder / ".laneway" / "api_key").read_text().strip()
        url = f"http://127.0.0.1:{self.ports['8000']}"
        return httpx.Client(base_url=url, headers=bearer(key), timeout=60, trust_env=False)

    def close(self) -> None:
        """End what the commands left running, the last first."""
        for leader in reversed(self._started):
            _end(leader.pid)
            leader.wait()

    def _start(self, script: str, output: Path) -> subprocess.Popen[bytes]:
        with output.open("wb") as stream:
            process = subprocess.Popen(
                ["bash", "-c", script],
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
        self._started.append(process)
        return process

    def _real(self, text: str) -> str:
        for example, address in self.addresses.items():
            text = text.replace(example, address)
        text = re.sub(r"\blaneway up\b", "exec laneway up --port 8000", text)
        return _PORTS.sub(lambda match: self.ports.setdefault(match[1], str(free_port())), text)


def _end(group: int) -> None:
    """Ask the processes of a group to end. Raises AssertionError when they had to be killed."""
    until = time.monotonic() + _END_S
    if _lives(group):
        os.killpg(group, signal.SIGTERM)
    while _lives(group):
        if time.monotonic() > until:
            os.killpg(group, signal.SIGKILL)
            raise AssertionError("a command of the documentation did not end")
        time.sleep(0.05)


def _lives(group: int) -> bool:
    """Whether the group has a process that is no zombie."""
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            with suppress(OSError, IndexError):
                fields = (process / "stat").read_text().rpartition(")")[2].split()
                if int(fields[2]) == group and fields[0] != "Z":
                    return True
    return False


def serving_block() -> Block:
    """The README's block that starts the service."""
    (found,) = (block for block in blocks(ROOT / "README.md", "bash") if "laneway up" in block.text)
    return found


@contextmanager
def opened(folder: Path) -> Iterator[Shell]:
    """A shell on the service that the README starts."""
    shell = Shell(folder)
    try:
        shell.serve(serving_block(), "Ctrl-C drains and stops.")
        yield shell
    finally:
        shell.close()
