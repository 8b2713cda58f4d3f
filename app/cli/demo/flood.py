"""All reviews at once: submits with bounded concurrency, then watches their ends by the list of what is unfinished."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from typing import Any

from app.cli.dataset import Review
from app.cli.demo.api import Api, Json, Unexpected
from app.cli.demo.figures import UNFINISHED
from app.cli.demo.progress import Show
from app.domain.clock import SYSTEM_CLOCK

AT_ONCE = 32
_LOOK_S = 1.0
_STUCK_S = 60.0


async def flood(api: Api, reviews: Sequence[Review], tag: str, show: Show) -> list[Json]:
    """A job for each review, all ended, each with its output, newest first.

    Raises Unexpected when a submit is refused or nothing moves.
    """
    submitted, left = _Count(), iter(reviews)
    submits = [_submit(api, left, tag, submitted) for _ in range(AT_ONCE)]
    await _all_at_once([*submits, _watch(api, tag, submitted, len(reviews), show)])
    jobs = [job async for job in api.jobs(tag=tag)]
    unread = iter(jobs)
    read = _Count()
    await _all_at_once([_read(api, unread, read, lambda: show(submitted.n, len(jobs), read.n)) for _ in range(AT_ONCE)])
    return jobs


async def _all_at_once(acts: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Raises what the first of them raises; the others are then canceled."""
    try:
        async with asyncio.TaskGroup() as group:
            for act in acts:
                group.create_task(act)
    except ExceptionGroup as several:
        raise several.exceptions[0] from None


class _Count:
    """How many so far."""

    def __init__(self) -> None:
        self.n = 0


async def _submit(api: Api, left: Iterator[Review], tag: str, submitted: _Count) -> None:
    for review in left:
        body = {"input": {"text": review.text}, "tags": [tag], "metadata": {"review": review.id}}
        await api.submit("review-sentiment", body)
        submitted.n += 1


async def _read(api: Api, left: Iterator[Json], read: _Count, tell: Callable[[], None]) -> None:
    for job in left:
        if job["status"] == "succeeded":
            job["output"] = await api.output(job["id"])
        read.n += 1
        tell()


async def _watch(api: Api, tag: str, submitted: _Count, total: int, show: Show) -> None:
    """Until every job has ended; what is unfinished comes in pages, so nobody polls each job."""
    ended, moved_s = -1, SYSTEM_CLOCK.monotonic()
    while ended < total:
        await asyncio.sleep(_LOOK_S if ended >= 0 else 0)
        accepted, before = submitted.n, ended
        unfinished = [job["status"] async for job in api.jobs(tag=tag, status=",".join(UNFINISHED))]
        ended = max(before, accepted - len(unfinished))
        show(submitted.n, ended)
        now_s = SYSTEM_CLOCK.monotonic()
        if ended > before:
            moved_s = now_s
        elif now_s - moved_s > _STUCK_S:
            raise Unexpected(f"no job has ended for {_STUCK_S:g} s; {len(unfinished)} are unfinished")
