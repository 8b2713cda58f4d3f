"""Laneway under fault: the workflow, and `python -m bench.peers.nap_laneway enqueue COUNT SECONDS` over HTTP."""

from __future__ import annotations

import asyncio
import os
import sys

import httpx
from pydantic import BaseModel

from bench.peers.nap import nap as nap_once
from laneway import Context, workflow


class Nap(BaseModel):
    """What is submitted."""

    n: int
    seconds: float


@workflow("bench-nap", version="1")
async def nap(ctx: Context, given: Nap) -> int:
    """One step."""
    return await ctx.step("nap", nap_once, given.n, given.seconds)


async def enqueue(count: int, seconds: float) -> None:
    """So many jobs."""
    headers = {"Authorization": f"Bearer {os.environ['LANEWAY_BOOTSTRAP_KEY']}"}
    async with httpx.AsyncClient(base_url=os.environ["BENCH_API_URL"], headers=headers, trust_env=False) as http:
        for n in range(count):
            body = {"input": {"n": n, "seconds": seconds}}
            (await http.post("/v1/workflows/bench-nap/jobs", json=body, timeout=30)).raise_for_status()


if __name__ == "__main__":
    asyncio.run(enqueue(int(sys.argv[2]), float(sys.argv[3])))
