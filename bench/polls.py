"""Reads a second of one job that has not ended, whole and as 304: `python -m bench.polls`."""

from __future__ import annotations

import json
import re
from functools import partial

from bench.alone import alone
from bench.contender import Running, Who
from bench.contenders import DIY_TUNED, LANEWAY
from bench.figures import Bar, Row
from bench.load import once
from bench.place import Ground
from bench.processor import Meter
from bench.rounds import CONNECTIONS, Sample, in_turn, sent, series, visit, warm

COUNT = 3000
_TAGGED = Who(f"{LANEWAY.name}, 304", LANEWAY.keeps)
_ETAG = re.compile(rb"\r\netag: (\S+)", re.IGNORECASE)


def rows(ground: Ground, rounds: int, count: int) -> list[Row]:
    """Whole reads, and conditional ones against the peer's whole reads: it has no tags."""
    visits = {
        LANEWAY.name: partial(visit, ground.place, LANEWAY, sample, count, 0),
        DIY_TUNED.name: partial(visit, ground.place, DIY_TUNED, sample, count, 0),
        _TAGGED.name: partial(visit, ground.place, LANEWAY, tagged_sample, count, 0),
    }
    samples = in_turn(visits, rounds)
    how = f"{count:,} reads of one queued job over {CONNECTIONS} connections, one API process."
    tagged = f"{how} With `If-None-Match`; the peer knows no tags, and answers whole."
    bar = Bar("at least as many", ratio=1.0)
    return [
        Row("Polls of one job", "reads/s", series(samples, (LANEWAY, DIY_TUNED), "reads/s"), how, bar, per="read"),
        Row("Polls answered 304", "reads/s", series(samples, (_TAGGED, DIY_TUNED), "reads/s"), tagged, bar, per="read"),
    ]


async def sample(running: Running, count: int) -> Sample:
    """One visit: every answer is whole."""
    return await _read(running, await _job(running), 200, count)


async def tagged_sample(running: Running, count: int) -> Sample:
    """One visit: every answer is 304. Raises RuntimeError where a contender gives no tag."""
    job_id = await _job(running)
    head, _ = await once(running.host, running.port, running.read(job_id))
    if not (found := _ETAG.search(head)):
        raise RuntimeError("a read gave no ETag")
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
