"""A service to measure: `laneway up` in a folder of its own, ended by its own signal."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bench.memory import pss_mb

WORKFLOWS = "bench.workflows"


@dataclass(frozen=True, slots=True)
class Service:
    """A running service; `started_s` is the time from the command to the first ready answer."""

    host: str
    port: int
    key: str
    parts: dict[str, int]
    valkey_socket: str
    started_s: float

    def memory_mb(self) -> dict[str, float]:
        """Proportional memory of each process (PSS), by name."""
        return {_name(pid): pss_mb(pid) for pid in self.parts.values()}


@contextmanager
def service(data: Path, *words: str, **environment: str) -> Iterator[Service]:
    """`laneway up --data DATA` until the end of the block."""
    began = time.perf_counter()
    env = {**os.environ, "LANEWAY_WORKFLOWS": WORKFLOWS, **environment}
    command = [sys.executable, "-m", "app", "up", "--data", str(data), "--port", "0", *words]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield _ready(process, data, began)
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)


def _ready(process: subprocess.Popen[str], data: Path, began: float) -> Service:
    if process.stdout is None:
        raise RuntimeError("no output")
    said = []
    for line in process.stdout:
        said.append(line)
        if "Ctrl-C" in line:
            break
    else:
        raise RuntimeError(f"laneway up ended:\n{''.join(said)}")
    started_s = time.perf_counter() - began
    note = json.loads((data / "up.json").read_text())
    address = urlsplit(note["url"])
    parts = {"up": process.pid, **note["children"]}
    key = (data / "api_key").read_text().strip()
    return Service(address.hostname or "", address.port or 0, key, parts, str(data / "sockets/valkey.sock"), started_s)


def redis_commands(path: str) -> int:
    """How many commands the server has processed."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        connection.sendall(b"INFO stats\r\n")
        text = connection.recv(65536).decode()
    return int(text.split("total_commands_processed:")[1].split("\r")[0])


@contextmanager
def folder() -> Iterator[Path]:
    """A temporary folder that every user can pass through."""
    with tempfile.TemporaryDirectory(prefix="laneway-bench-", dir="/tmp") as name:
        Path(name).chmod(0o711)
        yield Path(name) / "data"


def _name(pid: int) -> str:
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    kinds = ("serve", "work", "simulate", "up")
    found = next((kind for kind in kinds if kind in words), Path(words[0].split(":")[0].split(" ")[0]).name)
    return f"{found} {pid}"
