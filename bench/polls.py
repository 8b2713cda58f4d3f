"""Reads a second of one job that has not ended, whole and as 304: `python -m bench.polls`."""

from __future__ import annotations

import json
import re

from bench.alone import alone
from bench.contender import Running
from bench.contenders import DIY_TUNED, LANEWAY
from bench.figures import Bar, Row
from bench.load import once
from bench.place import Ground
from bench.processor import Meter
from bench.rounds import CONNECTIONS, Sample, interleaved, sent, series, warm

COUNT = 5000
_ETAG = re.compile(rb"\r\netag: (\S+)", re.IGNORECASE)


def rows(ground: Ground, rounds: int, count: int) -> list[Row]:
    """Whole reads, and conditional ones against the peer's whole reads: it has no tags."""
    contenders = (LANEWAY, DIY_TUNED)
    whole = interleaved(ground, contenders, sample, rounds=rounds, count=count, workers=0)
    tagged = interleaved(ground, contenders, tagged_sample, rounds=rounds, count=count, workers=0)
    how = f"{count:,} reads of one queued job over {CONNECTIONS} connections, one API process."
    bar = Bar("at least as many", ratio=1.0)
    return [
        Row("Polls of one job", "reads/s", series(whole, contenders, "reads/s"), how, bar, per="read"),
        Row(
            "Polls answered by 304",
            "reads/s",
            series(tagged, contenders, "reads/s"),
            f"{how} {_TAGGED}",
            bar,
            per="read",
        ),
    ]


_TAGGED = "With `If-None-Match`; the peer knows no tags, and answers whole."


async def sample(running: Running, count: int) -> Sample:
    """One visit: every answer is whole."""
    return await _read(running, await _job(running), 200, count)


async def tagged_sample(running: Running, count: int) -> Sample:
    """One visit: 304 where the contender gives tags."""
    job_id = await _job(running)
    head, _ = await once(running.host, running.port, running.read(job_id))
    if not (found := _ETAG.search(head)):
        return await _read(running, job_id, 200, count)
    return await _read(running, job_id, 304, count, f"If-None-Match: {found[1].decode()}")


async def _read(running: Running, job_id: str, status: int, count: int, *headers: str) -> Sample:
    request = running.read(job_id, *headers)
    await sent(running, request, CONNECTIONS, status)
    used = Meter(running.parts)
    load = await sent(running, request, count, status)
    return Sample({"reads/s": load.rate}, used.ms_each(count))


async def _job(running: Running) -> str:
    await warm(running, workers=False)
    _, body = await once(running.host, running.port, running.request("noop", False))
    return str(json.loads(body)["id"])


if __name__ == "__main__":
    alone(rows, COUNT)
