"""Word of each child's end, from SIGCHLD, without a thread for each child."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from app.supervise.children import Program, spawn


class Child:
    """A started program; `log_from` is the byte of its log where this start begins."""

    def __init__(self, program: Program, process: subprocess.Popen[bytes], log_from: int) -> None:
        self.program = program
        self.process = process
        self.log_from = log_from
        self.began = asyncio.get_running_loop().time()
        self._ended = asyncio.Event()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def lived_s(self) -> float:
        return asyncio.get_running_loop().time() - self.began

    async def ended(self) -> int:
        """Its exit code, once it has ended; negative is the signal that killed it."""
        await self._ended.wait()
        return self.process.returncode

    def send(self, number: signal.Signals) -> None:
        """Send the signal unless it has ended."""
        self.process.send_signal(number)

    def look(self) -> bool:
        """Reap it if it has ended; whether it has."""
        if self.process.poll() is not None:
            self._ended.set()
        return self._ended.is_set()


class Watch:
    """Starts children and reaps them. Lives in the event loop of the main thread."""

    def __init__(self) -> None:
        self._living: set[Child] = set()

    def start(self, program: Program) -> Child:
        """Raises OSError when the system has no room for a process."""
        log_from = program.log.stat().st_size if program.log and program.log.exists() else 0
        child = Child(program, spawn(program), log_from)
        self._living.add(child)
        return child

    async def run(self, program: Program) -> tuple[Child, int]:
        """Run it to its end; the child and its exit code. A cancellation ends the program first."""
        child = self.start(program)
        try:
            return child, await child.ended()
        finally:
            if not child.look():
                child.send(signal.SIGKILL)
                await child.ended()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Within the block, the end of a child is noticed."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGCHLD, self._sweep)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGCHLD)

    def _sweep(self) -> None:
        self._living = {child for child in self._living if not child.look()}
