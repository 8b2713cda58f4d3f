"""A way people do it themselves, as a program of asyncio and httpx: `python -m bench.limits.real.diy NAME URL ...`.

Fixed concurrency with tenacity is written out here; the others are the rules of `bench.limits.peers` on an event loop.
It runs in the peers' own environment. What it comes to is read in its provider.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from bench.limits.peers import PEERS, Crowd
from bench.limits.provider import Answer
from bench.limits.real.call import MODEL, prompt
from bench.limits.real.hidden import change
from bench.limits.real.plan import PLANS, shortened
from bench.limits.scenario import Scenario
from bench.limits.tally import Tally
from bench.limits.traffic import Job, jobs

FIXED = {"fixed 10": 10, "fixed 50": 50, "fixed 100": 100}


class Wire:
    """A provider over HTTP as the rules of the simulation take it; it is its own clock."""

    def __init__(self, scenario: Scenario, seed: int, http: httpx.AsyncClient, began: float) -> None:
        self.scenario, self.chance = scenario, random.Random(seed * 31 + 17)
        self.tally = Tally(int(scenario.seconds))
        self._http, self._began = http, began
        self._loop = asyncio.get_running_loop()
        self._calls: set[asyncio.Task[None]] = set()
        self.crowd: Crowd | None = None

    @property
    def clock(self) -> Wire:
        return self

    @property
    def now(self) -> float:
        return time.time() - self._began

    def at(self, when: float, act: Callable[..., None], *arguments: Any) -> None:
        self._loop.call_later(max(0.0, when - self.now), act, *arguments)

    def send(self, job: Job) -> None:
        if self.now >= self.scenario.seconds:
            return
        job.attempts += 1
        task = asyncio.create_task(self._call(job))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def end(self) -> None:
        """Leave the calls in flight."""
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)

    async def _call(self, job: Job) -> None:
        assert self.crowd is not None
        sent = self.now
        try:
            answer = await self._http.post("/v1/chat/completions", json=body_of(job))
        except httpx.HTTPError:
            self.crowd.ended(job, Answer(598, sent, self.now))
            return
        after = answer.headers.get("retry-after")
        self.crowd.ended(job, Answer(answer.status_code, sent, self.now, retry_after=after and float(after)))


def body_of(job: Job) -> dict[str, Any]:
    """The request of a job."""
    messages = [{"role": "user", "content": prompt(job.id, job.input)}]
    return {"model": MODEL, "messages": messages, "max_tokens": job.max_tokens}


async def by_rules(name: str, scenario: Scenario, seed: int, http: httpx.AsyncClient, began: float) -> int:
    """One of `PEERS`, as many instances as the scenario has workers; how many jobs they gave up."""
    wire = Wire(scenario, seed, http, began)
    wire.crowd = Crowd(wire, PEERS[name])
    together: dict[float, list[Job]] = defaultdict(list)
    for job in jobs(scenario.traffic, seed, scenario.seconds):
        together[job.arrives].append(job)
    for when, arrivals in together.items():
        wire.at(when, wire.crowd.arrive, arrivals)
    await asyncio.sleep(scenario.seconds - wire.now)
    await wire.end()
    return wire.tally.lost


async def by_tenacity(most: int, scenario: Scenario, seed: int, http: httpx.AsyncClient, began: float) -> int:
    """So many calls at once in each worker, real-time jobs first; six attempts each with random back-off between them.

    How many jobs were given up.
    """
    line: asyncio.PriorityQueue[tuple[int, int, Job]] = asyncio.PriorityQueue()
    lost: list[int] = []
    callers = [asyncio.create_task(_caller(line, http, lost)) for _ in range(most * scenario.workers)]
    for job in sorted(jobs(scenario.traffic, seed, scenario.seconds), key=lambda job: job.arrives):
        if job.arrives > 0:
            await asyncio.sleep(began + job.arrives - time.time())
        line.put_nowait((job.lane, job.id, job))
    await asyncio.sleep(began + scenario.seconds - time.time())
    for caller in callers:
        caller.cancel()
    await asyncio.gather(*callers, return_exceptions=True)
    return len(lost)


async def _caller(line: asyncio.PriorityQueue[tuple[int, int, Job]], http: httpx.AsyncClient, lost: list[int]) -> None:
    while True:
        _, _, job = await line.get()
        retrying = AsyncRetrying(
            wait=wait_random_exponential(min=1, max=60),
            stop=stop_after_attempt(6),
            retry=retry_if_exception_type(httpx.HTTPError),
            reraise=True,
        )
        try:
            await retrying(_ask, http, job)
        except httpx.HTTPError:
            lost.append(job.id)


async def _ask(http: httpx.AsyncClient, job: Job) -> None:
    (await http.post("/v1/chat/completions", json=body_of(job))).raise_for_status()


async def contend(name: str, url: str, scenario: Scenario, seed: int, began: float) -> int:
    """One of them, from the start to the end of the scenario; how many jobs it gave up."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    timeout_s = scenario.hidden.timeout_s
    async with httpx.AsyncClient(base_url=url, trust_env=False, limits=limits, timeout=timeout_s) as http:
        changing = asyncio.create_task(change(url, scenario.hidden, began))
        if most := FIXED.get(name):
            lost = await by_tenacity(most, scenario, seed, http, began)
        else:
            lost = await by_rules(name, scenario, seed, http, began)
        await changing
    return lost


def main() -> None:
    """It begins now, and says in the end when that was, and how many jobs it gave up."""
    name, url, scenario, seconds, seed, said = sys.argv[1:]
    began = time.time()
    lost = asyncio.run(contend(name, url, shortened(PLANS[scenario], float(seconds)), int(seed), began))
    Path(said).write_text(json.dumps({"began": began, "lost": lost}), encoding="utf-8")


if __name__ == "__main__":
    main()
