"""What caches save on a Zipf trace, and how fast a hit is: `python -m bench.cache [--jobs 3000] [--repeats 0.7]`.

The trace draws questions from ranks whose chance falls with 1/rank (Zipf's law with exponent 1); how many ranks there
are decides how often one comes again, and is chosen so that the stated share of the jobs are repeats.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from itertools import accumulate
from pathlib import Path
from typing import Any

import httpx

from bench.processor import Meter
from bench.provider import Provider, provider
from bench.service import Service, folder, service

_CALL_MS = 200
_CLIENTS = 16
_HITS = 500
_REST_S = 5.0
_own = threading.local()


@dataclass(frozen=True, slots=True)
class Answered:
    """One job as its client saw it; money in dollars."""

    took_s: float
    hit: bool
    cost: float
    saved: float


def trace(jobs: int, repeats: float, seed: int) -> list[int]:
    """The ranks that are asked for, in order; so many of them that the share of repeats comes closest."""
    low, high = 1, 100 * jobs
    while low < high:
        middle = (low + high) // 2
        if 1 - len(set(_drawn(jobs, middle, seed))) / jobs > repeats:
            low = middle + 1
        else:
            high = middle
    return _drawn(jobs, low, seed)


def _drawn(jobs: int, ranks: int, seed: int) -> list[int]:
    weights = list(accumulate(1 / rank for rank in range(1, ranks + 1)))
    return random.Random(seed).choices(range(ranks), cum_weights=weights, k=jobs)


def ask(running: Service, workflow: str, text: str) -> Answered:
    """Submit and wait for the end, on a connection of this thread's own."""
    if not hasattr(_own, "connection"):
        _own.connection = HTTPConnection(running.host, running.port)
    headers = {"Authorization": f"Bearer {running.key}", "Content-Type": "application/json", "Prefer": "wait=60"}
    began = time.perf_counter()
    _own.connection.request("POST", f"/v1/workflows/{workflow}/jobs", json.dumps({"input": {"text": text}}), headers)
    response = _own.connection.getresponse()
    job: dict[str, Any] = json.loads(response.read())
    took_s = time.perf_counter() - began
    if response.status != 201 or job["status"] != "succeeded":
        raise RuntimeError(f"{response.status}: {job}")
    hit = "hit" in (response.getheader("Cache-Status") or "")
    return Answered(took_s, hit, float(job["usage"]["cost_usd"]), float(job["usage"]["saved_usd"]))


def replay(running: Service, simulated: Provider, workflow: str, asked: Sequence[int]) -> None:
    """The trace through one workflow, with what the provider saw of it."""
    simulated.forget()
    with ThreadPoolExecutor(_CLIENTS) as pool:
        answers = list(pool.map(lambda rank: ask(running, workflow, f"{workflow} question {rank}"), asked))
    calls = httpx.get(f"{simulated.url}/sim/stats", trust_env=False).raise_for_status().json()["calls"]
    possible, saved = len(asked) - len(set(asked)), len(asked) - calls
    cost, spared = sum(one.cost for one in answers), sum(one.saved for one in answers)
    _say(f"{workflow}: {calls:,} calls for {len(asked):,} jobs")
    _say(f"  calls saved     {saved:,} of {possible:,} that are possible: {saved / possible:.1%} (bar: at least 98 %)")
    share = spared / (cost + spared)
    _say(f"  cost saved      {share:.1%} of what all would have cost (bar: 60 to 80 % at 70 % repeats)")
    if hits := [one.took_s for one in answers if one.hit]:
        _say(f"  hits at submit  {len(hits):,}: {_shown(hits)} beside {_CLIENTS} clients' other jobs")


def alone(running: Service, asked: Sequence[int]) -> None:
    """Hits at the API one after the other, with nothing beside them: what the trace left to be done is done first."""
    time.sleep(_REST_S)
    known = sorted(set(asked))
    used = Meter(running.parts)
    answers = [ask(running, "cached-outputs", f"cached-outputs question {known[n % len(known)]}") for n in range(_HITS)]
    processor_ms = used.ms_each(_HITS)
    if not all(one.hit for one in answers):
        raise RuntimeError("a known output was not given")
    _say(f"  hits alone      {_HITS}: {_shown([one.took_s for one in answers])} (bar: p95 below 10 ms)")
    parts = ", ".join(f"{part} {ms:.2f}" for part, ms in processor_ms.items() if ms >= 0.01)
    _say(f"  processor       ms for each hit: {parts}")


def _shown(seconds: Sequence[float]) -> str:
    cuts = statistics.quantiles(seconds, n=100)
    return f"p50 {cuts[49] * 1000:.1f} ms, p95 {cuts[94] * 1000:.1f} ms"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Print the figures of one trace."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=3000)
    parser.add_argument("--repeats", type=float, default=0.7, help="the share of jobs whose question came before")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    asked = trace(given.jobs, given.repeats, given.seed)
    distinct = len(set(asked))
    _say(f"{given.jobs:,} jobs by {_CLIENTS} clients, {distinct:,} questions: {1 - distinct / given.jobs:.1%} repeats")
    with folder() as data:
        Path(data).mkdir(mode=0o711)
        with provider(data, _CALL_MS) as simulated:
            settings = {"LANEWAY_WORKFLOWS": "bench.caching", "LANEWAY_SIMULATOR_URL": simulated.url}
            with service(data / "up", **settings) as running:
                for workflow in ("cached-answers", "cached-outputs"):
                    replay(running, simulated, workflow, asked)
                alone(running, asked)


if __name__ == "__main__":
    main()
