"""How long a permit takes at 200 calls a second, and how many scripts a call: `python -m bench.limits.real.admit`.

Two limiters in two processes share a pool whose announced limit is far away, in a real Valkey: what is left is the
way to Redis and back. Calls come at random times, take about a fifth of a second, half of them of the real-time lane.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import random
import sys
import time
from pathlib import Path
from typing import Any

import redis.asyncio

from app.gateway.pools.limiter import Limiter
from app.gateway.pools.pool import CallResult, Pool
from bench.limits.measure import quantile
from bench.limits.real.together import room
from bench.limits.real.watch import scripts
from tests.supervise.embedded import open_servers

_POOL = Pool("bench/admit", 100_000, requests_per_minute=1_000_000, at_once=100_000)
_PROCESSES = 2
_WARM_S = 15.0
# Until both processes run.
_START_S = 5.0
_CALL_S = (0.1, 0.3)


async def _calls(url: str, rate: float, seconds: float, seed: int) -> list[float]:
    """Milliseconds until the permit, of each call after the first seconds."""
    chance, waits = random.Random(seed), []
    async with redis.asyncio.Redis.from_url(url) as connection:
        limiter = Limiter(connection)

        async def one(counts: bool) -> None:
            lane = chance.choice(("interactive", "bulk"))
            began = time.perf_counter()
            permit = await limiter.admit(
                _POOL, lane, lease_s=30, max_wait_s=30, project="p", input_tokens=1500, output_tokens=280
            )
            if counts:
                waits.append((time.perf_counter() - began) * 1000)
            took_s = chance.uniform(*_CALL_S)
            await asyncio.sleep(took_s)
            limiter.settle(permit, CallResult(200, took_s, used=1780))

        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            due = 0.0
            while due < _WARM_S + seconds:
                due += chance.expovariate(rate)
                await asyncio.sleep(max(0.0, began + due - time.perf_counter()))
                group.create_task(one(due >= _WARM_S))
        await limiter.close()
    return waits


def _process(url: str, rate: float, seconds: float, seed: int, out: Any) -> None:
    out.put(asyncio.run(_calls(url, rate, seconds, seed)))


def measured(rate: float = 200.0, seconds: float = 30.0) -> dict[str, float]:
    """p50 and p99 in milliseconds, and scripts a call. Main thread only."""
    with room() as folder:
        valkey = open_servers(folder).valkey
        valkey.start()
        try:
            return _measured(valkey.url, rate, seconds)
        finally:
            valkey.stop()


def _measured(url: str, rate: float, seconds: float) -> dict[str, float]:
    context, share = multiprocessing.get_context("spawn"), rate / _PROCESSES
    out = context.Queue()
    running = [context.Process(target=_process, args=(url, share, seconds, seed, out)) for seed in range(_PROCESSES)]
    for process in running:
        process.start()
    ran = asyncio.run(scripts(url, time.time() + _WARM_S + _START_S, seconds / 2))
    waits = [wait for _ in running for wait in out.get(timeout=seconds + 60)]
    for process in running:
        process.join()
    return {
        "calls": len(waits),
        "calls_per_s": round(len(waits) / seconds, 1),
        "p50_ms": round(quantile(waits, 0.5), 2),
        "p99_ms": round(quantile(waits, 0.99), 2),
        "scripts": round(sum(ran.values()) / (rate * seconds / 2), 2),
    }


def main() -> None:
    """Print them, or write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    found = json.dumps(measured(given.rate, given.seconds))
    if given.out:
        given.out.write_text(found, encoding="utf-8")
    else:
        sys.stdout.write(f"{found}\n")


if __name__ == "__main__":
    main()
