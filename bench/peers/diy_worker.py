"""The do-it-yourself worker: `python -m bench.peers.diy_worker`; writes status and result in one update."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any
from uuid import UUID

import uvloop
from arq.worker import Worker

from bench.peers.diy_table import REDIS, connect
from bench.peers.given import CONCURRENCY, IN_FLIGHT, PROVIDER_URL, READY, TUNED
from bench.peers.model import ask, open_http

_END = "update jobs set status = 'succeeded', result = $2, ended_at = now() where id = $1"
_SLOTS = IN_FLIGHT if PROVIDER_URL else CONCURRENCY
_TUNED: dict[str, Any] = {
    "max_jobs": _SLOTS,
    "poll_delay": 0.01,
    "queue_read_limit": 1000,
    "keep_result": 0,
    "log_results": False,
    "health_check_interval": 60,
}


async def noop(ctx: dict[str, Any], n: int) -> None:
    """Gives back what it got."""
    await _end(ctx, {"n": n})


async def call(ctx: dict[str, Any], n: int) -> None:
    """Asks the model once."""
    await _end(ctx, {"answer": await ask(ctx["http"], f"question {n}")})


async def checks(ctx: dict[str, Any], n: int) -> None:
    """Asks three questions at once."""
    answers = await asyncio.gather(*(ask(ctx["http"], f"question {n}, part {part}") for part in range(3)))
    await _end(ctx, {"answers": answers})


async def _end(ctx: dict[str, Any], result: dict[str, Any]) -> None:
    await ctx["pool"].execute(_END, UUID(ctx["job_id"]), json.dumps(result))


async def begin(ctx: dict[str, Any]) -> None:
    """Open what the jobs share."""
    ctx["pool"] = await connect()
    ctx["http"] = open_http(PROVIDER_URL, _SLOTS)
    sys.stdout.write(f"{READY}\n")
    sys.stdout.flush()


async def finish(ctx: dict[str, Any]) -> None:
    """Close it."""
    await ctx["http"].aclose()
    await ctx["pool"].close()


def main() -> None:
    """Serve until SIGTERM."""
    if TUNED:
        asyncio.set_event_loop(uvloop.new_event_loop())
    options = _TUNED if TUNED else {}
    Worker([noop, call, checks], redis_settings=REDIS, on_startup=begin, on_shutdown=finish, **options).run()


if __name__ == "__main__":
    main()
