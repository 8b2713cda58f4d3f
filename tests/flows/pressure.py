"""Load that does not wait for answers: so many submits a second, each noted as it was answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from tests.stack import bearer


@dataclass(frozen=True, slots=True)
class Sent:
    """One submit: when it was answered (monotonic), and with what. `retry_after` is that header, in seconds."""

    at: float
    status: int
    code: str | None
    retry_after: int | None
    job_id: str | None


@dataclass(frozen=True, slots=True)
class Stream:
    """Submits to one API under one key: `rate` a second for `seconds`."""

    url: str
    key: str
    workflow: str
    input: dict[str, Any]
    rate: float
    seconds: float
    lane: str | None = None


def send(*streams: Stream) -> list[list[Sent]]:
    """All at once; what became of each stream's submits, in the order of their answers."""
    return asyncio.run(_send(streams))


async def _send(streams: Sequence[Stream]) -> list[list[Sent]]:
    return list(await asyncio.gather(*(_stream(stream) for stream in streams)))


async def _stream(stream: Stream) -> list[Sent]:
    found: list[Sent] = []
    began, tasks = time.monotonic(), []
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(stream.url, headers=bearer(stream.key), connector=connector) as http:
        for n in range(int(stream.rate * stream.seconds)):
            await asyncio.sleep(max(0.0, began + n / stream.rate - time.monotonic()))
            tasks.append(asyncio.create_task(_submit(http, stream, found)))
        await asyncio.gather(*tasks)
    return found


async def _submit(http: aiohttp.ClientSession, stream: Stream, found: list[Sent]) -> None:
    given = {"input": stream.input, **({"lane": stream.lane} if stream.lane else {})}
    async with http.post(f"/v1/workflows/{stream.workflow}/jobs", json=given) as response:
        body, retry_after = await response.json(), response.headers.get("Retry-After")
    seconds = int(retry_after) if retry_after else None
    found.append(Sent(time.monotonic(), response.status, body.get("code"), seconds, body.get("id")))
