"""Outputs of whole jobs that are known: looked for at a submit, made once for all equal jobs that run at once."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.domain import canonical
from app.domain.clock import Clock
from app.domain.job import CacheMode, Claimed, Known, NewJob, Usage
from app.engine.outcome import Outcome, Succeeded
from app.engine.workflow import Workflow
from app.gateway.caches.cache import Entry, ExactCache, Key, Place


@dataclass(frozen=True, slots=True)
class Find:
    """What a look for an output found: it, with how long it is good yet; or why there is none, as RFC 9211 says it."""

    known: Known | None = None
    left_s: float = 0.0
    why_not: str = "miss"

    @property
    def status(self) -> str:
        """The value of `Cache-Status`."""
        return f"laneway; hit; ttl={int(self.left_s)}" if self.known else f"laneway; fwd={self.why_not}"


class Making:
    """A job's place among equal ones: `known` is what it is given; else it runs, and tells the others how it ended."""

    def __init__(self, job: Claimed, place: Place | None, *, takes: bool = True, keeps: bool = True) -> None:
        self._job = job
        self._place = place
        self._keeps = keeps
        found = _known(place.entry) if takes and place is not None and place.entry is not None else None
        # A job that comes again after a crash is not given its own.
        self.known = found if found is not None and found.source_job_id != job.id else None

    @property
    def given(self) -> Succeeded | None:
        """How the job ends without a run."""
        if self.known is None:
            return None
        return Succeeded(output=self.known.output, usage=Usage(saved_nanos=self.known.saved_nanos))

    async def ended(self, outcome: Outcome, usage: Usage) -> None:
        """The run is over, and the job has used so much in all. A whole output is kept; without one, equal jobs that
        wait for it in this process run by themselves.
        """
        if self._place is None or self.known is not None:
            return
        if not isinstance(outcome, Succeeded) or outcome.degraded:
            self._place.give_up()
            return
        # What it would have cost with nothing known at all.
        body = _body(self._job.id, usage.cost_nanos + usage.saved_nanos, outcome.output)
        if self._keeps:
            await self._place.keep(body)
        else:
            self._place.share(body)


class Outputs:
    """The cache of outputs, of workflows that declare one."""

    def __init__(self, cache: ExactCache, clock: Clock) -> None:
        self._cache = cache
        self._clock = clock

    async def find(self, workflow: Workflow[Any, Any], job: NewJob, *, max_age_s: float | None = None) -> Find:
        """The output that the new job may be given, none older than `max_age_s`. Bounded, never fails."""
        if workflow.cache is None:
            return Find(why_not="bypass")
        if job.cache_mode is not None:
            return Find(why_not="request")
        (entry,) = await self._cache.look([_key(job)])
        if entry is None:
            return Find()
        if max_age_s is not None and entry.age_s > max_age_s:
            return Find(why_not="request")
        return Find(_known(entry), entry.left_s)

    @asynccontextmanager
    async def making(self, workflow: Workflow[Any, Any], job: Claimed, *, begun: bool) -> AsyncIterator[Making]:
        """A place among equal jobs that run now: the first runs, the others wait for what he keeps.

        A job that has `begun` in an earlier run neither waits nor takes what is known, and of its output nobody knows
        whether a tag was dropped meanwhile. One that may take nothing known runs beside the others.
        """
        if workflow.cache is None or job.cache_mode is CacheMode.NO_STORE:
            yield Making(job, None)
            return
        keeping, keeps = workflow.cache.keeping, not (begun and workflow.cache.tags)
        if job.cache_mode is not None:
            yield Making(job, await self._cache.over(_key(job), keeping), keeps=keeps)
            return
        patience_s = 0.0 if begun else self._patience_s(workflow, job)
        async with self._cache.enter(_key(job), keeping, patience_s) as place:
            yield Making(job, place, takes=not begun, keeps=keeps)

    def _patience_s(self, workflow: Workflow[Any, Any], job: Claimed) -> float:
        """As long as another may take, and no longer than the client waits."""
        if job.finish_by is None:
            return workflow.timeout_s
        return max(0.0, min(workflow.timeout_s, (job.finish_by - self._clock.now()).total_seconds()))


def _key(job: NewJob | Claimed) -> Key:
    """Whose it is; live, test, or live without a real provider; the workflow in its version; the validated input."""
    whose = ["output", str(job.project_id), job.test_mode, job.simulated]
    given = hashlib.sha256(job.input).hexdigest()
    return Key(job.project_id, canonical.digest(*whose, job.workflow, job.version, given))


def _body(job_id: UUID, worth_nanos: int, output: bytes) -> bytes:
    return job_id.bytes + worth_nanos.to_bytes(8) + output


def _known(entry: Entry) -> Known:
    body = entry.body
    return Known(body[24:], UUID(bytes=body[:16]), entry.age_s, int.from_bytes(body[16:24]))
