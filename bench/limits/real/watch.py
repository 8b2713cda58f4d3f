"""What is looked at while a run goes on: the pool as operators see it, scripts of Redis, how busy the machine is."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import httpx
import redis

_EVERY_S = 5.0
_SCRIPTS = ("evalsha", "eval", "fcall")


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


def scripts(redis_url: str) -> tuple[int, float]:
    """How many scripts the server has run, and the seconds that they took it."""
    with redis.Redis.from_url(redis_url) as connection:
        found: dict[str, Any] = connection.info("commandstats")
    ran = [found[f"cmdstat_{name}"] for name in _SCRIPTS if f"cmdstat_{name}" in found]
    return sum(one["calls"] for one in ran), sum(one["usec"] for one in ran) / 1e6


def busy_s() -> tuple[float, float]:
    """Jiffies of all processors: busy, and all."""
    fields = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return sum(fields) - fields[3] - fields[4], float(sum(fields))
