"""Explains where a job stands: reads what its state calls for, says it in one sentence and in numbers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime
from math import ceil
from typing import Any, Protocol

from app.domain import ids
from app.domain.clock import Clock
from app.domain.hours import Hours
from app.domain.job import UNCLAIMED, Job, Reason, Status
from app.jobs.latency import Latency
from app.jobs.situation import Queue, Situation, Worker
from app.jobs.view import time_view
from app.store.places import MOST, Place, Places
from app.store.reports import ProcessRow


class LanePace(Protocol):
    """What is to be known of a lane: its slots over all workers, and what ended within the last minute."""

    @property
    def paused(self) -> bool: ...
    @property
    def workers(self) -> int: ...
    @property
    def slots(self) -> int: ...
    @property
    def in_use(self) -> int: ...
    @property
    def run_s(self) -> float | None: ...
    def cost_s(self, workflow: str) -> float: ...
    def eta_s(self, jobs: int, run_s: float | None) -> float | None: ...


class ServiceLook(Protocol):
    """The service at a glance."""

    @property
    def processes(self) -> tuple[ProcessRow, ...]: ...
    def lane(self, name: str) -> LanePace: ...


class Explain:
    """Answers for one job at a time; only whoever asks pays for it."""

    def __init__(
        self, places: Places, latency: Latency, look: Callable[[], Awaitable[ServiceLook]], hours: Mapping[str, Hours],
        clock: Clock,
    ) -> None:  # fmt: skip
        self._places = places
        self._latency = latency
        self._look = look
        self._hours = hours
        self._clock = clock

    async def view(self, job: Job) -> dict[str, Any]:
        """The sentence and the numbers, as JSON. Raises StoreAway."""
        return _view(await self.situation(job))

    async def situation(self, job: Job) -> Situation:
        """What is true of the job now. Raises StoreAway."""
        plain = Situation(job, self._clock.now())
        if job.status.terminal:
            return plain
        if job.status is Status.RUNNING:
            return replace(plain, worker=await self._worker(job))
        if job.reason is Reason.ORDERING:
            return replace(plain, ahead=await self._places.ahead(job))
        if plain.due:
            return replace(plain, queue=await self._queue(job, plain.now))
        if job.reason is Reason.CHILDREN:
            return replace(plain, children=await self._places.children(job.id))
        if job.reason is Reason.RATE_LIMIT:
            return replace(plain, stopped=await self._places.stopped(job.id))
        return plain

    async def _queue(self, job: Job, now: datetime) -> Queue | None:
        hours = self._hours.get(job.lane)
        open_now = hours is None or hours.open_at(now)
        place = await self._places.place(job, open_now)
        if place is None:
            return None
        lane = (await self._look()).lane(job.lane)
        run_s = lane.run_s
        if run_s is None and (recent := await self._latency.recent(job.project_id, job.workflow)):
            run_s = recent.p50_s
        ahead = _ahead(place, lane.cost_s(job.workflow))
        closed = hours.next_open(now) if hours and place.off_peak and not open_now else None
        paused = f"the lane {job.lane}" if lane.paused else f"the workflow {job.workflow}" if place.paused else None
        stands = paused is not None or closed is not None
        eta_s = None if stands else lane.eta_s(ahead + (lane.in_use >= lane.slots), run_s)
        return Queue(job.lane, ahead, eta_s, lane.workers, lane.slots, lane.in_use, paused, closed)

    async def _worker(self, job: Job) -> Worker | None:
        look = await self._look()
        owner = await self._places.worker(job.id)
        found = next((process for process in look.processes if process.id == owner), None)
        if found is None:
            return None
        running = found.facts.get("running", {}).get(job.id.hex, [])
        told = [(name, key, datetime.fromisoformat(since)) for name, key, since in running]
        still = await self._places.unended(job.id, [(name, key) for name, key, _ in told]) if told else ()
        steps = tuple(step for step in told if step[:2] in still)
        return Worker(found.host, found.pid, found.alive, found.beat_age_s, steps)


def _ahead(place: Place, cost_s: float) -> int:
    """How many will be claimed before it: its project's own, and of each rival as many as the tenants' turns give.

    Each rival's jobs count from his virtual time on, the project's from its own, `cost_s` each: see store/turn.
    """
    until = place.had + place.own * cost_s
    others = sum(min(rival.count, max(0, ceil((until - rival.had) / cost_s))) for rival in place.rivals)
    return min(place.own + others, MOST + 1)


def _view(found: Situation) -> dict[str, Any]:
    queue, worker, children = found.queue, found.worker, found.children
    return {
        "explanation": found.sentence(),
        "position": queue.ahead + 1 if queue else None,
        "ahead": queue.ahead if queue else found.ahead.count if found.ahead else None,
        "eta_s": round(queue.eta_s, 1) if queue and queue.eta_s is not None else None,
        "due_at": time_view(found.job.due_at) if found.job.status in UNCLAIMED and not found.ahead else None,
        "paused": bool(queue and queue.paused),
        "workers": queue.workers if queue else None,
        "slots": queue.slots if queue else None,
        "slots_in_use": queue.in_use if queue else None,
        "behind": ids.show("job", found.ahead.job_id) if found.ahead else None,
        "children": {"total": children[0], "ended": children[0] - children[1]} if children else None,
        "worker": {"host": worker.host, "pid": worker.pid, "alive": worker.alive} if worker else None,
        "steps": [
            {"name": name, "key": key or None, "since": time_view(since)}
            for name, key, since in (worker.steps if worker else ())
        ],
    }
