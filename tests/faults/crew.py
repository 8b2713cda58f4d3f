"""The processes of the experiments: a shared API and shared workers, kept alive between them to save their starts."""

from __future__ import annotations

import httpx

from tests.stack import Process, Stack, until


class Crew:
    """Hands out processes that serve; what a test started for itself ends with the test."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._api: Process | None = None
        self._workers: list[Process] = []
        self._own: list[Process] = []
        self._environment: dict[str, str] = {}

    def use(self, environment: dict[str, str]) -> None:
        """Settings of everybody from now on; who has others is ended."""
        if environment != self._environment:
            self.end_api()
            self.end_workers()
            self._environment = dict(environment)

    def api(self) -> Process:
        """The shared API; started anew if it was killed."""
        if self._api is None or not alive(self._api):
            self._api = self._stack.start_api(**self._environment)
        return self._api

    def api_that_dies(self, crash_point: str) -> Process:
        """An API on the stack's port that kills itself at that point, maybe before it was ready."""
        self.end_api()
        words = ["serve", "--port", str(self._stack.port)]
        environment = {**self._stack.environment, **self._environment, "LANEWAY_CRASH_POINT": crash_point}
        process = Process(words, environment, self._stack.folder / f"serve-{len(self._stack.processes)}.log")
        self._stack.processes.append(process)
        return process

    def end_api(self) -> None:
        """Free the port."""
        if self._api is not None and alive(self._api):
            self._api.stop()
        self._api = None

    def workers(self, count: int) -> list[Process]:
        """So many shared workers that serve; the ones that were killed are replaced."""
        self._workers = [worker for worker in self._workers if alive(worker)]
        self._workers += [self._start() for _ in range(count - len(self._workers))]
        for worker in self._workers:
            serving(worker)
        return self._workers[:count]

    def shared_worker(self) -> Process:
        """One more shared worker, not yet serving."""
        self._workers.append(self._start())
        return self._workers[-1]

    def worker(self, **environment: str) -> Process:
        """A worker of this experiment, not yet serving."""
        self._own.append(self._start(**environment))
        return self._own[-1]

    def _start(self, **environment: str) -> Process:
        return self._stack.start_worker(**{**self._environment, **environment})

    def end_own(self) -> None:
        """End what an experiment started for itself."""
        for process in self._own:
            if alive(process):
                process.kill()
        self._own.clear()

    def end_workers(self) -> None:
        """End the shared workers: the next experiment wants none, or its own."""
        for process in self._workers:
            if alive(process):
                process.stop()
        self._workers.clear()


def alive(process: Process) -> bool:
    """Whether it has not ended."""
    return process.process.poll() is None


def answers(url: str) -> bool:
    """Whether an API answers there that it is ready."""
    try:
        return httpx.get(f"{url}/readyz", timeout=5, trust_env=False, verify=False).status_code == 200
    except httpx.TransportError:
        return False


def serving(process: Process) -> None:
    """Wait until a worker serves. Raises AssertionError when it ends before."""

    def ready() -> bool:
        assert alive(process), process.log.read_text()
        return '"event": "serving"' in process.log.read_text()

    until(ready, 30)
