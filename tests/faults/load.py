"""Clients under fault: they submit with idempotency keys, repeat until answered, and note every answer they got."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests.faults.journals import Scribe, Told

_PATIENCE_S = 100.0
_ACCEPTED = (201, 202)
# Every so many submits are sent once more when all is over: their keys must give the same jobs.
_REPEATED = 5


@dataclass(frozen=True, slots=True)
class Shape:
    """`rate` jobs a second, of so many steps of about `step_s`; shares are between 0 and 1.

    `who` tells the clients of one run apart.
    """

    rate: float = 45.0
    step_s: float = 0.05
    hooked: float = 0.25
    asking: float = 0.25
    waiting: float = 0.0
    seed: int = 1
    hooks_proxied: bool = False
    steps: tuple[int, int] = (3, 5)
    workflow: str = "trail"
    who: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One submit: its key, its workflow, its body, whether its client waits for the end, and the pause after it."""

    key: str
    workflow: str
    body: dict[str, Any]
    waits: bool
    pause_s: float


class Load:
    """A crowd of clients in a thread of its own, since the test's thread kills and starts processes.

    It sends at its times, however long answers take. Where it is `refusable`, a 429 is an answer, and not repeated.
    """

    def __init__(
        self, url: str, bearer: dict[str, str], journal: Path, wanted: Iterator[Wanted], *, refusable: bool = False
    ) -> None:
        self._url = url
        self._bearer = bearer
        self._scribe = Scribe(journal)
        self._wanted = wanted
        self._refusable = refusable
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._stopping = threading.Event()
        self._errors: list[BaseException] = []
        self.accepted = 0
        self.refused = 0

    def start(self) -> None:
        """Begin to submit."""
        self._thread.start()

    def finish(self) -> None:
        """Submit no more, and wait until every submit has an answer. Raises what a client raised."""
        self._stopping.set()
        self._thread.join(_PATIENCE_S + 30)
        assert not self._thread.is_alive(), "clients still wait"
        for error in self._errors:
            raise error

    async def _run(self) -> None:
        connector, timeout = aiohttp.TCPConnector(limit=64), aiohttp.ClientTimeout(15)
        try:
            async with aiohttp.ClientSession(
                self._url, headers=self._bearer, connector=connector, timeout=timeout
            ) as http:
                await self._all(http)
        except BaseException as error:
            self._errors.append(error)

    async def _all(self, http: aiohttp.ClientSession) -> None:
        due, sent, clients = time.monotonic(), list[Wanted](), []
        for wanted in self._wanted:
            if self._stopping.is_set():
                break
            clients.append(asyncio.create_task(self._one(http, wanted, sent)))
            due += wanted.pause_s
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        await asyncio.gather(*clients)
        await asyncio.gather(*(self._until_told(http, wanted) for wanted in sent[::_REPEATED]))

    async def _one(self, http: aiohttp.ClientSession, wanted: Wanted, sent: list[Wanted]) -> None:
        if await self._until_told(http, wanted):
            self.accepted += 1
            sent.append(wanted)
        else:
            self.refused += 1

    async def _until_told(self, http: aiohttp.ClientSession, wanted: Wanted) -> bool:
        """Whether it was accepted."""
        until, pause_s = time.monotonic() + _PATIENCE_S, 0.1
        while (accepted := await self._ask(http, wanted)) is None:
            assert time.monotonic() < until, f"no answer to {wanted.key} within {_PATIENCE_S} s"
            await asyncio.sleep(pause_s)
            pause_s = min(1.0, pause_s * 2)
        return accepted

    async def _ask(self, http: aiohttp.ClientSession, wanted: Wanted) -> bool | None:
        """Whether the job was accepted, None: to be asked again; notes the answer, or that there was none."""
        headers = {"Idempotency-Key": wanted.key} | ({"Prefer": "wait=10"} if wanted.waits else {})
        path, asked_at = f"/v1/workflows/{wanted.workflow}/jobs", time.time()
        try:
            async with http.post(path, json=wanted.body, headers=headers) as answer:
                said = await answer.json()
        except (aiohttp.ClientError, TimeoutError) as error:
            await self._scribe.note(
                Told(asked_at, time.time(), wanted.key, None, None, type(error).__name__, wanted.waits)
            )
            return None
        accepted = answer.status in _ACCEPTED
        refused = self._refusable and answer.status == 429
        assert accepted or refused or answer.status >= 500, said
        told, code = (said["id"], None) if accepted else (None, said["code"])
        status, retry_after = answer.status, answer.headers.get("retry-after")
        at = time.time()
        await self._scribe.note(Told(asked_at, at, wanted.key, told, status, code, wanted.waits, retry_after))
        return accepted if accepted or refused else None


def draw(shape: Shape, run: str, marks: Path, hook_url: str) -> Iterator[Wanted]:
    """Submits without end, the same for the same seed."""
    chance, n = random.Random(shape.seed), 0
    while True:
        key = f"{run}-{shape.who}{n}"
        given = {"journal": str(marks), "name": key, "steps": chance.randint(*shape.steps)}
        given |= {"step_s": shape.step_s * chance.uniform(0.5, 1.5), "asks": int(chance.random() < shape.asking)}
        body: dict[str, Any] = {"input": given, "tags": [run]}
        if chance.random() < shape.hooked:
            body["webhook"] = {"url": hook_url}
        yield Wanted(key, shape.workflow, body, chance.random() < shape.waiting, chance.expovariate(shape.rate))
        n += 1
