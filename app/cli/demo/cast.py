"""The processes of the demo: `laneway up`, the simulated provider and a receiver of webhooks; none outlives it."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from app.settings import child_environment
from app.supervise.children import Program
from app.supervise.errors import CannotStart
from app.supervise.folder import kept_key, last_words, log_path
from app.supervise.watch import Child, Watch

Found = TypeVar("Found")

# What the simulated provider is told: how often the small model answers truly, and how long answers take.
ACCURACY = 0.85
_LATENCY = "0.9*lognormal(350,900)+0.09*lognormal(900,2000)+0.01*uniform(2000,2500)"
_START_S = 90.0
_DRAIN_S = 40.0
_END_S = 5.0
# The demo runs on its own servers and the simulated provider, whatever is configured around it.
_OWN = {
    "LANEWAY_CONFIG": "",
    "LANEWAY_DATABASE_URL": "",
    "LANEWAY_REDIS_URL": "",
    "LANEWAY_BOOTSTRAP_KEY": "",
    "LANEWAY_WORKFLOWS": "",
    "LANEWAY_PROVIDERS": "",
    "LANEWAY_WEBHOOKS__ALLOW_PRIVATE": "true",
}


@dataclass(frozen=True, slots=True)
class Stage:
    """Where everything is once it serves."""

    url: str
    api_key: str
    simulator_url: str
    receiver_url: str


class Cast:
    """Starts the processes and ends them. `data` is absolute; main thread only."""

    def __init__(self, data: Path, watch: Watch) -> None:
        self._data, self._watch = data, watch
        self._children: list[Child] = []

    async def start(self, truth: Path, port: int) -> Stage:
        """All processes, ready, in a data directory that is open; port 0 takes a free one.

        `truth` tells the simulated provider the answers. Raises CannotStart with the last words of the one that failed.
        """
        port_file = self._data / "simulator.port"
        port_file.unlink(missing_ok=True)
        simulator = self._child("demo-simulator", "app", "simulate", *_simulator(truth, port_file))
        receiver = self._child("demo-receiver", "app.loadtest.receiver")
        simulator_url = f"http://127.0.0.1:{await self._until(simulator, lambda: _text(port_file))}"
        serving = self._child(
            "demo-up", "app", "up", "--data", str(self._data), "--port", str(port), LANEWAY_SIMULATOR_URL=simulator_url
        )
        receiver_url = await self._until(receiver, lambda: self._first_line(receiver))
        note = await self._until(serving, lambda: self._note(serving))
        return Stage(str(note["url"]), kept_key(self._data), simulator_url, receiver_url)

    async def ended(self) -> str:
        """Wait until one of the processes ends by itself; its name and last words."""
        waits = {asyncio.create_task(child.ended()): child for child in self._children}
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            return _words(waits[done.pop()])
        finally:
            for task in waits:
                task.cancel()

    async def stop(self, hurry: asyncio.Event) -> None:
        """End every process, the stack before what it uses; `hurry` kills what still drains."""
        while self._children:
            child = self._children.pop()
            await _end(child, _DRAIN_S if child.program.name == "demo-up" else _END_S, hurry)

    def _child(self, name: str, module: str, *words: str, **environment: str) -> Child:
        """Its working directory is the data directory: a `laneway.toml` of the user's is not meant for the demo."""
        program = Program(
            name,
            (sys.executable, "-m", module, *words),
            child_environment({**_OWN, **environment}),
            cwd=self._data,
            log=log_path(self._data, name),
        )
        child = self._watch.start(program)
        self._children.append(child)
        return child

    async def _until(self, child: Child, look: Callable[[], Found | None]) -> Found:
        end = asyncio.get_running_loop().time() + _START_S
        while (found := look()) is None:
            if child.look():
                raise CannotStart(_words(child))
            if asyncio.get_running_loop().time() > end:
                raise CannotStart(f"{child.program.name} was not ready within {_START_S:g} s: see {child.program.log}")
            await asyncio.sleep(0.03)
        return found

    def _first_line(self, child: Child) -> str | None:
        text = (child.program.log or Path()).read_bytes()[child.log_from :].decode(errors="replace")
        return text.splitlines()[0] if text.startswith("http") and "\n" in text else None

    def _note(self, child: Child) -> dict[str, object] | None:
        """What `up` tells tools, once it is this one's and everything serves."""
        try:
            note = json.loads((self._data / "up.json").read_text())
        except (OSError, json.JSONDecodeError):
            return None
        return note if note["pid"] == child.pid else None


def _simulator(truth: Path, port_file: Path) -> list[str]:
    given = {"--port": "0", "--port-file": port_file, "--truth": truth, "--latency": _LATENCY}
    given |= {"--accuracy": f"*={ACCURACY}"}
    return [str(word) for pair in given.items() for word in pair]


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip() or None
    except OSError:
        return None


def _words(child: Child) -> str:
    name = child.program.name.removeprefix("demo-")
    return f"{name} ended with code {child.process.returncode}:\n{last_words(child.program.log, child.log_from)}"


async def _end(child: Child, patience_s: float, hurry: asyncio.Event) -> None:
    if child.look():
        return
    child.send(signal.SIGTERM)
    ended, hurried = asyncio.create_task(child.ended()), asyncio.create_task(hurry.wait())
    await asyncio.wait({ended, hurried}, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
    hurried.cancel()
    if not ended.done():
        child.send(signal.SIGKILL)
    await ended
