"""A parent under test: started, watched, and searched for what it leaves behind."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import sysconfig
import termios
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from app.supervise.account import can_run
from app.supervise.children import Account

_ROOT = Path(__file__).resolve().parents[2]
_PATH = os.pathsep.join([str(_ROOT), sysconfig.get_path("purelib")])


def _plain_python() -> str:
    """A Python of this version that any user can run, or nothing."""
    for program in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        if os.geteuid() == 0 and Path(program).exists() and can_run(Account(33, 33), program, "-c", "import ctypes"):
            return program
    return ""


PLAIN_PYTHON = _plain_python()


class Up:
    """One run of `run_up` on `folder / "data"`."""

    def __init__(
        self, folder: Path, *, environment: dict[str, str] | None = None, user: int | None = None,
        terminal: int | None = None, nohup: bool = False, **plan: Any,
    ) -> None:  # fmt: skip
        self.folder, self.data = folder, folder / "data"
        self.journal = folder / "journal"
        self._output = folder / f"output-{time.monotonic_ns()}"
        extra = {"TEST_JOURNAL": str(self.journal), "PYTHONPATH": _PATH, "PYTHONDONTWRITEBYTECODE": "1"}
        if user is not None:
            os.chown(folder, user, user)
        words = json.dumps({"data": str(self.data), **plan})
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [PLAIN_PYTHON if user else sys.executable, "-m", "tests.supervise.run_up", words],
                stdin=terminal,
                preexec_fn=None if terminal is None else partial(take_terminal, nohup),
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **extra, **(environment or {})},
                user=user,
                group=user,
                extra_groups=None if user is None else [],
            )

    @property
    def said(self) -> str:
        return self._output.read_text(errors="replace")

    @property
    def note(self) -> dict[str, Any]:
        return dict(json.loads((self.data / "up.json").read_text()))

    @property
    def children(self) -> dict[str, int]:
        return dict(self.note["children"])

    def lines(self, first: str) -> list[list[str]]:
        """The journal's lines that begin with that word, split."""
        text = self.journal.read_text() if self.journal.exists() else ""
        return [line.split() for line in text.splitlines() if line.split()[:1] == [first]]

    def serving(self) -> dict[str, Any]:
        """Wait until it serves and its children have noted their start; what it tells tools."""
        until(lambda: "Ctrl-C drains" in self.said or self.process.poll() is not None)
        assert self.process.poll() is None, self.said
        until(lambda: self._ours() <= {int(words[2]) for words in self.lines("start")})
        return self.note

    def _ours(self) -> set[int]:
        return {pid for name, pid in self.children.items() if name not in ("postgres", "valkey")}

    def get(self) -> str:
        """The process id of the API that answers."""
        with urllib.request.urlopen(self.note["url"] + "/", timeout=10) as answer:
            return str(answer.read().decode())

    def ended(self, timeout_s: float = 20) -> int:
        """Its exit code."""
        return self.process.wait(timeout_s)

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)


@contextmanager
def terminal() -> Iterator[tuple[int, int]]:
    """A terminal: the side that the caller closes to end it, and the side that a process has."""
    controller, device = os.openpty()
    try:
        yield controller, device
    finally:
        for side in (controller, device):
            with suppress(OSError):
                os.close(side)


def take_terminal(nohup: bool = False) -> None:
    """In the child: lead a session of its own whose terminal is standard input, whether or not the tests are hidden
    from their own.
    """
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGHUP, signal.SIG_IGN if nohup else signal.SIG_DFL)


@contextmanager
def up(
    folder: Path, *, environment: dict[str, str] | None = None, user: int | None = None, terminal: int | None = None,
    nohup: bool = False, **plan: Any,
) -> Iterator[Up]:  # fmt: skip
    """A parent; killed at the end of the block if it still runs, and then nothing of it may be left."""
    run = Up(folder, environment=environment, user=user, terminal=terminal, nohup=nohup, **plan)
    try:
        yield run
    finally:
        if run.process.poll() is None:
            run.process.kill()
            run.process.wait()
        until(lambda: not left_behind(folder))


def until(true: Callable[[], object], timeout_s: float = 20) -> None:
    """Poll. Raises AssertionError when it does not come true."""
    end = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < end, "did not come true in time"
        time.sleep(0.02)


def left_behind(folder: Path) -> list[str]:
    """Command lines of the living processes that belong to a run below the folder."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdecimal() and int(process.name) != os.getpid() and _belongs(process, os.fsencode(folder)):
            found.append(_read(process / "cmdline").replace(b"\0", b" ").decode(errors="replace"))
    return found


def _belongs(process: Path, folder: bytes) -> bool:
    try:
        cwd = os.fsencode(os.readlink(process / "cwd"))
    except OSError:
        cwd = b""
    return any(folder in text for text in (cwd, _read(process / "cmdline"), _read(process / "environ")))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
