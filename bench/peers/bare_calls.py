"""No queue at all: `python -m bench.peers.bare_calls COUNT` asks the model so often, 200 at once, and ends."""

from __future__ import annotations

import asyncio
import sys

import uvloop

from bench.peers.given import IN_FLIGHT, PROVIDER_URL
from bench.peers.model import ask, open_http

ENDED = "ended"


async def main(count: int) -> None:
    """All of them."""
    left = iter(range(count))

    async def one() -> None:
        for n in left:
            await ask(http, f"question {n}")

    async with open_http(PROVIDER_URL, IN_FLIGHT) as http:
        await asyncio.gather(*(one() for _ in range(IN_FLIGHT)))


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1])))
    sys.stdout.write(f"{ENDED}\n")
