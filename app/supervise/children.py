"""Starts a program as a child that cannot outlive this process."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from signal import SIGTERM, Signals
from typing import IO

from app.supervise.errors import CannotStart

_LAUNCH = str(Path(__file__).with_name("launch.py"))


@dataclass(frozen=True, slots=True)
class Account:
    """The user and group, by number, that a child runs as."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Program:
    """What to run. `argv[0]` is an absolute path; `log` None passes output through; `fds` stay open in the child."""

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    cwd: Path | None = None
    log: Path | None = None
    death_signal: Signals = SIGTERM
    stop_signal: Signals = SIGTERM
    account: Account | None = None
    fds: tuple[int, ...] = ()


def spawn(program: Program) -> subprocess.Popen[bytes]:
    """Start it in a session of its own, so that Ctrl-C reaches this process only. Main thread only.

    The kernel sends `death_signal` when the *thread* that forked ends, hence the main thread. `launch.py` sets the tie
    after the fork instead of a `preexec_fn`: Python code between fork and exec can deadlock once threads exist, and
    the new user may not even be able to reach the interpreter.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("children are started from the main thread: they die with the thread that started them")
    with _output(program.log) as output:
        return subprocess.Popen(
            [*_tied(program.death_signal, program.account), *program.argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=dict(program.environment),
            cwd=program.cwd,
            pass_fds=program.fds,
            start_new_session=True,
        )


def run_to_end(program: Program, timeout_s: float) -> subprocess.CompletedProcess[str]:
    """Run a short program to its end, output captured. Raises CannotStart when it takes longer."""
    try:
        return _run(program, timeout_s)
    except subprocess.TimeoutExpired:
        raise CannotStart(f"{program.argv[0]} did not end within {timeout_s:g} s.") from None


def _run(program: Program, timeout_s: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*_tied(program.death_signal, program.account), *program.argv],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=dict(program.environment),
        cwd=program.cwd,
        start_new_session=True,
        text=True,
        errors="replace",
        timeout=timeout_s,
    )


def _tied(death_signal: Signals, account: Account | None) -> list[str]:
    who = f"{account.uid}:{account.gid}" if account else "-"
    return [sys.executable, "-I", "-S", _LAUNCH, str(int(death_signal)), str(os.getpid()), who]


def _output(log: Path | None) -> IO[bytes]:
    """The log, made readable by its owner only, or a copy of this process's standard error."""
    if log is None:
        return os.fdopen(os.dup(2), "wb")
    return os.fdopen(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600), "wb")
