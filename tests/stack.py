"""A whole Laneway under test: real servers, API and worker processes, a simulated provider, a webhook receiver."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from app.store.database import StoreAway
from app.store.migrate import migrate
from tests.clients.receiver import Hooks, receiver
from tests.loadtest.provider_process import ProviderProcess, running_provider
from tests.supervise.embedded import Embedded, embedded
from tests.verified import broken

ROOT = Path(__file__).resolve().parents[1]
KEY = "lw_live_" + "t3st" * 8
OTHER_KEY = "lw_live_" + "0th3" * 8
ENDED = ("succeeded", "failed", "canceled", "expired")


class Process:
    """One API or worker process."""

    def __init__(self, words: list[str], environment: dict[str, str], log: Path) -> None:
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app", *words], cwd=ROOT, env=environment, stdout=output, stderr=output
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def kill(self) -> None:
        """SIGKILL, and wait for its end."""
        self.process.kill()
        self.process.wait()

    def stop(self, timeout_s: float = 30) -> int:
        """SIGTERM; its exit code."""
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


class Stack:
    """Starts and stops processes against one pair of servers."""

    def __init__(
        self, servers: Embedded, provider: ProviderProcess, hooks: Hooks, folder: Path, extra: dict[str, str]
    ) -> None:
        self.servers = servers
        self.provider = provider
        self.hooks = hooks
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            **os.environ,
            "LANEWAY_DATABASE_URL": servers.database_url,
            "LANEWAY_REDIS_URL": servers.redis_url,
            "LANEWAY_BOOTSTRAP_KEY": KEY,
            "LANEWAY_SIMULATOR_URL": provider.url,
            "LANEWAY_WORKFLOWS": "tests.flows.catalogue",
            "LANEWAY_WEBHOOKS__ALLOW_PRIVATE": "true",
            "LANEWAY_WEBHOOKS__SCHEDULE_S": "[0, 0.2, 0.2, 0.2]",
            "LANEWAY_GATEWAY__RATE_LIMIT_WAIT_S": "0.5",
            "LANEWAY_LEASE_S": "2",
            **extra,
        }
        self.journal = str(folder / "marks")
        self.processes: list[Process] = []
        self.client = httpx.Client(base_url=self.url, headers=bearer(KEY), timeout=90, trust_env=False)

    def start_api(self, **environment: str) -> Process:
        """An API on the stack's port, ready."""
        process = self._start(["serve", "--port", str(self.port)], environment)
        until(lambda: self._answers(process), 30)
        return process

    def start_worker(self, lanes: str = "interactive,standard,bulk,delivery", **environment: str) -> Process:
        """A worker of these lanes."""
        return self._start(["work", "--lanes", lanes], environment)

    def submit(self, workflow: str, input: Any, *, wait: float | None = None, **more: Any) -> dict[str, Any]:
        """Submit a job that must be accepted; the job."""
        response = self.post(workflow, input, wait=wait, **more)
        assert response.status_code in (201, 202), response.text
        return dict(response.json())

    def post(
        self, workflow: str, input: Any, *, wait: float | None = None, key: str | None = None, **more: Any
    ) -> httpx.Response:
        """The answer to a submit; `key` is its Idempotency-Key."""
        headers = {"Prefer": f"wait={wait}"} if wait is not None else {}
        headers |= {"Idempotency-Key": key} if key else {}
        return self.client.post(f"/v1/workflows/{workflow}/jobs", json={"input": input, **more}, headers=headers)

    def job(self, job_id: str) -> dict[str, Any]:
        """Read a job."""
        response = self.client.get(f"/v1/jobs/{job_id}")
        assert response.status_code == 200, response.text
        return dict(response.json())

    def ended(self, job_id: str, timeout_s: float = 30) -> dict[str, Any]:
        """The job once it has ended."""
        until(lambda: self.job(job_id)["status"] in ENDED, timeout_s)
        return self.job(job_id)

    def sql(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """Rows straight from the database."""
        return asyncio.run(_fetch(self.servers.database_url, statement, values))

    def verify(self) -> None:
        """Assert that every invariant holds in the database, if it is there."""
        with suppress(StoreAway):
            found = asyncio.run(broken(self.servers.database_url))
            assert not found, "\n".join(found)

    def close(self) -> None:
        """End every process that was started."""
        self.client.close()
        for process in self.processes:
            if process.process.poll() is None:
                process.process.send_signal(signal.SIGCONT)
                process.kill()

    def _start(self, words: list[str], environment: dict[str, str]) -> Process:
        log = self.folder / f"{words[0]}-{len(self.processes)}.log"
        process = Process(words, {**self.environment, **environment}, log)
        self.processes.append(process)
        return process

    def _answers(self, process: Process) -> bool:
        assert process.process.poll() is None, process.log.read_text()
        try:
            return self.client.get("/readyz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False


@contextmanager
def running_stack(
    folder: Path, *, data: Path | None = None, provider: tuple[str, ...] = (), **environment: str
) -> Iterator[Stack]:
    """Servers (their files in `data`), provider and receiver; the caller starts API and workers. Main thread only."""
    with ExitStack() as stack:
        servers = stack.enter_context(embedded(data))
        asyncio.run(migrate(servers.database_url))
        running = stack.enter_context(running_provider(*provider))
        hooks = stack.enter_context(receiver(journal=folder / "hooks"))
        made = Stack(servers, running, hooks, folder, environment)
        stack.callback(made.close)
        yield made
        made.verify()


def bearer(key: str) -> dict[str, str]:
    """The Authorization header."""
    return {"Authorization": f"Bearer {key}"}


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(true: Callable[[], object], timeout_s: float = 20) -> None:
    """Poll. Raises AssertionError when it does not come true."""
    end = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < end, "did not come true in time"
        time.sleep(0.02)


async def _fetch(url: str, statement: str, values: tuple[Any, ...]) -> list[dict[str, Any]]:
    connection = await asyncpg.connect(url)
    try:
        return [dict(row) for row in await connection.fetch(statement, *values)]
    finally:
        await connection.close()
