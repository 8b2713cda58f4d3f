"""What SAQ's API and worker share: the queue in Redis, its one function."""

from __future__ import annotations

from typing import Any

from saq import Queue
from saq.queue.redis import RedisQueue

from bench.peers.given import REDIS_URL

_OPERATIONS = 200


def open_queue() -> Queue:
    """The queue; not connected."""
    return RedisQueue.from_url(REDIS_URL, max_concurrent_ops=_OPERATIONS)


async def noop(ctx: dict[str, Any], *, n: int) -> dict[str, int]:
    """Gives back what it got."""
    return {"n": n}
