"""Lanes under test: crowds of clients over HTTP, workers that come and go, the order of starts from the database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import aiohttp

from app.domain import ids
from tests.stack import KEY, Process, Stack, bearer, until

_STARTS = """
select id, lane, status, priority, tags->>1 as name, created_at, started_at, ordering_place
from jobs where tags ? $1 and started_at is not null order by started_at
"""
_FORGET = """
truncate jobs, payloads, steps, attempts, calls, ledger, events, idempotency, ordering_lines, tenants, deliveries,
    delivery_attempts, job_webhooks
"""
_LEFT = "select count(*) as n from jobs where tags ? $1 and ended_at is null"


@dataclass(frozen=True, slots=True)
class Told:
    """A submit that was accepted: when it was sent and when answered, by the monotonic clock."""

    n: int
    id: UUID
    asked_at: float
    told_at: float


@dataclass(frozen=True, slots=True)
class Note:
    """A `begin` or an `end`, of which number, by which process."""

    word: str
    n: int
    pid: int


class Lanes:
    """One test's jobs on a stack; they carry the test's own tag and the name of their crowd."""

    def __init__(self, stack: Stack, tag: str | None = None) -> None:
        self.stack = stack
        self.tag = tag or uuid4().hex
        self.journal = str(stack.folder / f"journal-{self.tag}")
        self.gate = str(stack.folder / f"gate-{self.tag}")
        self.workers: list[Process] = []

    def worker(self, lanes: str, environment: dict[str, str] | None = None, **slots: int) -> Process:
        """A worker that serves these lanes, with so many slots in each."""
        named = {f"LANEWAY_LANES__{lane.upper()}__SLOTS": str(count) for lane, count in slots.items()}
        self.workers.append(self.stack.start_worker(lanes, **named, **(environment or {})))
        return self.workers[-1]

    def open_gate(self) -> None:
        """Let go on who waits for it."""
        Path(self.gate).touch()

    def body(self, name: str, n: int, options: dict[str, Any], **given: Any) -> dict[str, Any]:
        """The body of a submit of `turn`."""
        turn = {"journal": self.journal, "name": name, "n": n, **given}
        return {"input": turn, "tags": [self.tag, name], **options}

    def submit(self, name: str, options: dict[str, Any], *, wait: float | None = None, **given: Any) -> dict[str, Any]:
        """One job of `turn`, which must be accepted."""
        body = self.body(name, 0, options, **given)
        return self.stack.submit("turn", body.pop("input"), wait=wait, **body)

    def crowd(
        self, name: str, count: int, options: dict[str, Any], *, clients: int = 16, key: str = KEY, **given: Any
    ) -> list[Told]:
        """So many submits from concurrent clients, numbered in the order in which they were sent."""
        bodies = [self.body(name, n, options, **given) for n in range(count)]
        return asyncio.run(_submit_all(self.stack.url, key, bodies, clients))

    def starts(self, *names: str) -> list[dict[str, Any]]:
        """The jobs that have started, in the order of their first starts; of these crowds, or of all."""
        return [row for row in self.stack.sql(_STARTS, self.tag) if not names or row["name"] in names]

    def between(self, created: dict[str, Any], started: dict[str, Any], name: str) -> int:
        """How many of a crowd started after one job was accepted and before one was started."""
        since, to = created["created_at"], started["started_at"]
        return sum(since < row["started_at"] < to for row in self.starts(name))

    def waits(self, job: dict[str, Any]) -> list[tuple[str, bool]]:
        """What the job's timeline says it waited for, and whether that is over."""
        spans = self.stack.client.get(f"/v1/jobs/{job['id']}/trace").json()["spans"]
        return [(span["name"], span["ended_at"] is not None) for span in spans if span["kind"] == "wait"]

    def rest(self, timeout_s: float = 40) -> None:
        """Wait until all have ended."""
        until(lambda: self.stack.sql(_LEFT, self.tag)[0]["n"] == 0, timeout_s)

    def noted(self, name: str) -> list[Note]:
        """What the jobs of a crowd noted, in order."""
        path = Path(self.journal)
        lines = path.read_text().splitlines() if path.exists() else []
        parts = [line.split() for line in lines]
        return [Note(word, int(n), int(pid)) for word, crowd, n, pid in parts if crowd == name]

    def close(self) -> None:
        """End the workers, and forget what still stands in the lanes."""
        for process in self.workers:
            if process.process.poll() is None:
                process.kill()
        self.stack.sql(_FORGET)


async def _submit_all(url: str, key: str, bodies: Sequence[dict[str, Any]], clients: int) -> list[Told]:
    left = iter(enumerate(bodies))
    async with aiohttp.ClientSession(url, headers=bearer(key)) as http:
        parts = await asyncio.gather(*(_submit_some(http, left) for _ in range(clients)))
    return sorted((one for part in parts for one in part), key=lambda one: one.n)


async def _submit_some(http: aiohttp.ClientSession, left: Any) -> list[Told]:
    told = []
    for n, body in left:
        asked_at = time.monotonic()
        async with http.post("/v1/workflows/turn/jobs", json=body) as response:
            job = await response.json()
            assert response.status == 202, job
        told.append(Told(n, ids.read("job", job["id"]), asked_at, time.monotonic()))
    return told
