"""The processes of the compose file without containers: two APIs behind a proxy, workers by lane."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from tests.deploy.proxy import Proxy, running_proxy
from tests.stack import KEY, ROOT, Process, Stack, bearer, free_port, running_stack, until
from tests.supervise.embedded import open_folder

NOTICE_S = 1.5


@dataclass(slots=True)
class Layout:
    """Processes by the names of their services."""

    stack: Stack
    proxy: Proxy
    ports: dict[str, int]
    processes: dict[str, Process]

    def start_api(self, name: str, notice_s: float = NOTICE_S) -> None:
        """An API on its port; ready only after a moment."""
        words = ["serve", "--port", str(self.ports[name])]
        log = self.stack.folder / f"{name}.log"
        process = Process(words, {**self.stack.environment, "LANEWAY_DRAIN_NOTICE_S": str(notice_s)}, log)
        self.processes[name] = process
        self.stack.processes.append(process)

    def in_rotation(self, *names: str) -> None:
        """Wait until the proxy has exactly these."""
        until(lambda: self.proxy.ready == {self.ports[name] for name in names}, 30)

    def client(self) -> httpx.Client:
        """A client of the proxy, with a connection for each request."""
        headers = {**bearer(KEY), "Connection": "close"}
        return httpx.Client(base_url=self.proxy.url, headers=headers, timeout=30, trust_env=False)


@pytest.fixture(scope="package")
def layout() -> Iterator[Layout]:
    """Everything serves, and again when a test ends; the command makes the schema, as in the compose file."""
    with open_folder() as folder, running_stack(folder) as stack:
        migrate = [sys.executable, "-m", "app", "migrate"]
        subprocess.run(migrate, cwd=ROOT, env=stack.environment, check=True, capture_output=True)
        ports = {"api-1": free_port(), "api-2": free_port()}
        with running_proxy(list(ports.values())) as proxy:
            made = Layout(stack, proxy, ports, {})
            for lanes in ("interactive,standard", "bulk", "delivery"):
                made.processes[lanes] = stack.start_worker(lanes)
            for name in ports:
                made.start_api(name)
            made.in_rotation("api-1", "api-2")
            yield made
