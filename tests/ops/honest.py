"""Three hundred jobs of every kind on a whole stack: what they leave behind breaks no invariant, at any moment."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.stack import Stack, until

_OPEN = "select count(*) as n from jobs where status not in ('succeeded', 'failed', 'canceled', 'expired')"
_UNSENT = "select count(*) as n from deliveries where status not in ('succeeded', 'dead')"
_NAMED = "select id, status from jobs where tags ? $1"
COUNT = 300


class Honest:
    """Clients of every kind; draws are seeded."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._dice = random.Random(4)
        self._hook = {"url": stack.hooks.answer("/honest"), "events": ["job.started", "job.succeeded", "job.failed"]}
        self._deaf = {"url": "http://127.0.0.1:9/"}
        self._journal = str(stack.folder / "honest")
        self._gate = str(stack.folder / "never")

    def submit_all(self) -> list[dict[str, Any]]:
        """The jobs, once each was accepted; some submits repeat others."""
        kinds: list[Callable[[int], dict[str, Any]]] = [
            self._noop, self._marks, self._asks, self._wrong, self._family, self._ordered, self._later, self._repeated,
        ]  # fmt: skip
        numbers = [(self._dice.choice(kinds), n) for n in range(COUNT)]
        with ThreadPoolExecutor(16) as clients:
            return list(clients.map(lambda one: one[0](one[1]), numbers))

    def meddle(self, jobs: list[dict[str, Any]]) -> None:
        """Cancel some while they wait or run; run what failed again, with its steps and without."""
        for job in self._dice.sample(jobs, 60):
            self._post(job, "cancel", {})
        for n, job in enumerate(self._dice.sample(jobs, 100)):
            self._post(job, "retry", {"from": "start"} if n % 2 else {})

    def rest(self) -> None:
        """Wait until everything has ended and every webhook is delivered or dead."""
        for statement in (_OPEN, _UNSENT):
            until(lambda statement=statement: self._stack.sql(statement)[0]["n"] == 0, 60)  # type: ignore[misc]

    def leave_open(self) -> None:
        """Jobs that end no more: one runs, its parent waits, one sleeps, one is held by its ordering key."""
        self._submit("branch", {"journal": self._journal, "leaves": 1, "gate": self._gate}, tags=["parent"])
        for name in ("first", "second"):
            given = {"journal": self._journal, "name": name, "step_s": 3600.0}
            self._submit("naps", given, ordering_key="left", tags=[name])
        self._submit("noop", {"n": 1}, run_at=_in(3600), webhook=self._hook, tags=["later"])
        wanted = {"parent": "waiting", "first": "scheduled", "second": "queued", "later": "scheduled"}
        for name, status in wanted.items():
            until(lambda name=name, status=status: self._stack.sql(_NAMED, name)[0]["status"] == status)  # type: ignore[misc]
        until(lambda: self._stack.sql("select count(*) as n from jobs where status = 'running'")[0]["n"] == 1)

    def _noop(self, n: int) -> dict[str, Any]:
        return self._submit(
            "noop-fast", {"n": n}, wait=5 if n % 2 else None, webhook=self._hook if n % 3 else self._deaf
        )

    def _marks(self, n: int) -> dict[str, Any]:
        return self._submit("marks", self._steps(n, 0.02), webhook=self._hook)

    def _asks(self, n: int) -> dict[str, Any]:
        return self._submit("asks-twice" if n % 2 else "asks", {"text": f"item {n}"})

    def _wrong(self, n: int) -> dict[str, Any]:
        kind = ("input", "processing", "transient", "bug")[n % 4]
        return self._submit("wrong", {"kind": kind}, webhook=self._hook)

    def _family(self, n: int) -> dict[str, Any]:
        return self._submit("branch", {"journal": self._journal, "leaves": 3, "first": n})

    def _ordered(self, n: int) -> dict[str, Any]:
        return self._submit("marks", self._steps(n, 0.01), ordering_key=f"key {n % 3}")

    def _later(self, n: int) -> dict[str, Any]:
        return self._submit("naps", self._steps(n, 0.3), run_at=_in(0.5)) if n % 2 else self._expiring(n)

    def _expiring(self, n: int) -> dict[str, Any]:
        return self._submit("marks", self._steps(n, 0.5), finish_within="1s")

    def _repeated(self, n: int) -> dict[str, Any]:
        if n % 2:
            return self._submit("noop", {"n": n % 5}, dedupe={"within": "1h"}, key=f"dedupe-{n}")
        return self._submit("noop", {"n": n % 5}, key=f"key-{n % 5}")

    def _steps(self, n: int, step_s: float) -> dict[str, Any]:
        return {"journal": self._journal, "name": str(n), "steps": 3, "step_s": step_s}

    def _submit(self, workflow: str, input: Any, **more: Any) -> dict[str, Any]:
        return self._stack.submit(workflow, input, **more)

    def _post(self, job: dict[str, Any], what: str, body: dict[str, Any]) -> None:
        answer = self._stack.client.post(f"/v1/jobs/{job['id']}/{what}", json=body)
        assert answer.status_code in (200, 202, 409), answer.text


def _in(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
