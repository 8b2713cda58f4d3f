"""What is looked at while a run goes on: the pool as operators see it, scripts of Redis, how busy the machine is."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
from redis.asyncio import Redis

_EVERY_S = 5.0
_SCRIPTS = ("EVALSHA", "EVAL")
_KEY = re.compile(r"laneway:\{?(pool|budget|breaker|cache)")


async def pools(url: str, key: str, began: float, until: float) -> list[dict[str, Any]]:
    """`/v1/pools` every five seconds, each with its time since the start; one that fails is left out."""
    seen: list[dict[str, Any]] = []
    async with httpx.AsyncClient(base_url=url, timeout=5, trust_env=False) as http:
        while time.time() < began + until:
            await asyncio.sleep(_EVERY_S)
            try:
                answer = await http.get("/v1/pools", headers={"Authorization": f"Bearer {key}"})
            except httpx.HTTPError:
                continue
            if answer.status_code == 200:
                seen += [{"at": round(time.time() - began, 1), **pool} for pool in answer.json()["data"]]
    return seen


async def scripts(redis_url: str, at: float, for_s: float) -> dict[str, int]:
    """How often each part of the gateway asked Redis by script in so many seconds from `at` on (`time.time()`)."""
    await asyncio.sleep(at - time.time())
    ran: Counter[str] = Counter()
    async with Redis.from_url(redis_url) as connection, connection.monitor() as monitor:
        with suppress(TimeoutError):
            async with asyncio.timeout(for_s):
                async for seen in monitor.listen():
                    ran[_part(seen)] += 1
    return {name: count for name, count in ran.items() if name}


def _part(seen: Mapping[str, Any]) -> str:
    """The part of the gateway whose script that was; empty for anything else."""
    words = seen["command"].split(" ", 4)
    if seen["client_type"] == "lua" or words[0].upper() not in _SCRIPTS or len(words) < 4:
        return ""
    found = _KEY.match(words[3])
    return found[1] if found else ""


def busy_s() -> tuple[float, float]:
    """Ticks of all processors since the machine started: busy ones, and all."""
    fields = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return sum(fields) - fields[3] - fields[4], float(sum(fields))
