"""Everything that is measured: Laneway, and each peer with what it keeps."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial

from redis.asyncio import Redis

from bench.contender import Contender, Running, SqlLedger, pause
from bench.load import post
from bench.peer import BENCH_PYTHON, Peer
from bench.place import Place
from bench.process import Process, process, until_said
from bench.service import WORKFLOWS, service

_SERVING = '"serving"'

_LIVE, _DONE = "ended_at is null", "status = 'succeeded' and output_id is not null"


@contextmanager
def _laneway(place: Place, workers: int) -> Iterator[Running]:
    """`laneway up` on the servers of the run."""
    data = place.folder / "laneway"
    with service(data, "--workers", str(workers), **_addresses(place)) as found:
        for number in range(1, workers + 1):
            until_said(data / "logs" / f"worker-{number}.log", _SERVING)
        yield Running(
            host=found.host,
            port=found.port,
            parts={**place.servers, **found.parts},
            ledger=SqlLedger(place.database_url, "jobs", _LIVE, _DONE),
            request=partial(_request, found.key),
            work=partial(_work, place),
            key=found.key,
        )


def _addresses(place: Place) -> dict[str, str]:
    simulator = {"LANEWAY_SIMULATOR_URL": place.provider_url} if place.provider_url else {}
    return {"LANEWAY_DATABASE_URL": place.database_url, "LANEWAY_REDIS_URL": place.redis_url, **simulator}


def _work(place: Place, name: str) -> AbstractContextManager[Process]:
    argv = (sys.executable, "-m", "app", "work", "--lanes", "bulk")
    log = place.folder / f"{name}.log"
    return process(name, argv, log, _SERVING, LANEWAY_WORKFLOWS=WORKFLOWS, **_addresses(place))


def _request(key: str, kind: str, wait: bool) -> bytes:
    return post(f"/v1/workflows/bench-{kind}/jobs", b'{"input":{"n":1}}', key, *(["Prefer: wait=30"] if wait else []))


def _diy_ledger(place: Place) -> SqlLedger:
    return SqlLedger(place.database_url, "jobs", "ended_at is null", "status = 'succeeded' and result is not null")


def _procrastinate_ledger(place: Place) -> SqlLedger:
    live = "status in ('todo', 'doing')"
    return SqlLedger(place.database_url, "procrastinate_jobs", live, "status = 'succeeded'")


@dataclass(frozen=True, slots=True)
class _SaqLedger:
    """SAQ keeps its jobs in Redis: a set of those that have not ended, a key for each result."""

    redis_url: str

    async def settled(self) -> None:
        async with Redis.from_url(self.redis_url) as redis:
            while await redis.zcard("saq:default:incomplete"):
                await pause()

    async def finished(self) -> int:
        async with Redis.from_url(self.redis_url) as redis:
            keys = [key async for key in redis.scan_iter("saq:job:default:*", count=1000)]
            return sum(b'"status": "complete"' in (body or b"") for body in await redis.mget(keys)) if keys else 0


_DIY = Peer("bench.peers.diy_api", "bench.peers.diy_worker", _diy_ledger)
_PROCRASTINATE = Peer(
    "bench.peers.procrastinate_api", "bench.peers.procrastinate_worker", _procrastinate_ledger, own=True
)
_SAQ = Peer("bench.peers.saq_api", "bench.peers.saq_worker", lambda place: _SaqLedger(place.redis_url), own=True)

LANEWAY = Contender("Laneway", "job, state and result in PostgreSQL", _laneway)
DIY_TUNED = Contender("FastAPI + INSERT + arq, tuned", "job, state and result in PostgreSQL", _DIY.start)
DIY = Contender(
    "FastAPI + INSERT + arq, defaults",
    "job, state and result in PostgreSQL",
    replace(_DIY, tuned=False).start,
    share=0.2,
)
PROCRASTINATE = Contender(
    "FastAPI + procrastinate", "job and state in PostgreSQL, no result", _PROCRASTINATE.start, share=0.5
)
SAQ = Contender("FastAPI + SAQ", "nothing: Redis only", _SAQ.start)


def with_queues(*durable: Contender) -> tuple[Contender, ...]:
    """These, and the peers that are only queues where their environment was made."""
    return (*durable, PROCRASTINATE, SAQ) if BENCH_PYTHON.exists() else durable
