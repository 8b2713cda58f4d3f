"""A house of which parts are taken away: two APIs, two workers, both servers, a provider, a receiver."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.ops.alarms import QUICK
from tests.stack import Process, Stack, running_stack, until
from tests.supervise.embedded import open_folder


@dataclass(slots=True)
class House:
    """Both APIs are ready, both workers have reported."""

    stack: Stack
    second: Stack
    workers: list[Process]
    apis: list[Process]

    def ready(self) -> tuple[int, str]:
        """What `/readyz` answers."""
        response = self.stack.client.get("/readyz")
        return response.status_code, response.json()["status"]

    def status(self) -> dict[str, Any]:
        """What `/v1/status` answers."""
        response = self.stack.client.get("/v1/status")
        assert response.status_code == 200, response.text
        return dict(response.json())

    def lane(self, name: str) -> dict[str, Any]:
        """One lane of it."""
        return dict({one["lane"]: one for one in self.status()["lanes"]}[name])

    def processes(self) -> dict[str, int]:
        """How many APIs and workers live, as it says."""
        return dict(self.status()["processes"])

    def whole(self) -> None:
        """Wait until nothing is away and no alert stands."""
        until(lambda: self.ready() == (200, "ok"))
        until(lambda: self.processes() == {"serve": 2, "work": 2})
        until(lambda: self.status()["alerts"] == [], 30)

    def new_apis(self) -> None:
        """Start both."""
        self.apis = [self.stack.start_api(), self.second.start_api()]

    def end_worker(self, n: int) -> None:
        """Kill it."""
        self.workers[n].kill()

    def new_worker(self, n: int) -> None:
        """Start another in its place."""
        self.workers[n] = self.stack.start_worker()

    def serve_only(self, lanes: str) -> None:
        """Put two workers of these lanes in the place of both, one after the other, so that there is always one."""
        for n, old in enumerate(list(self.workers)):
            self.workers[n] = self.stack.start_worker(lanes)
            until(lambda: self.processes()["work"] == 3)
            old.stop()
            until(lambda: self.processes()["work"] == 2)


@contextmanager
def house(**environment: str) -> Iterator[House]:
    """Running."""
    extra = {**QUICK, **environment}
    with open_folder() as folder, running_stack(folder, **extra) as stack:
        inner = folder / "second"
        inner.mkdir()
        second = Stack(stack.servers, stack.provider, stack.hooks, inner, extra)
        try:
            workers = [stack.start_worker() for _ in range(2)]
            made = House(stack, second, workers, [])
            made.new_apis()
            made.whole()
            yield made
        finally:
            second.close()
