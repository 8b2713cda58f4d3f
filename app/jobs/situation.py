"""The sentence that says where a job stands, and why: from what was read, without reading anything."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.domain import ids
from app.domain.duration import shown
from app.domain.errors import Disposition, Failure
from app.domain.job import Job, Reason, Status
from app.store.places import MOST, Ahead

_WAITS = {
    Reason.RATE_LIMIT: "the provider's rate limit is used up",
    Reason.PROVIDER_DOWN: "what it has to call does not answer",
    Reason.PROVIDER_AUTH: "the provider refuses our key",
    Reason.BUDGET: "a budget is used up",
    Reason.WINDOW: "its call is collected with others",
    Reason.PROVIDER_BATCH: "the provider works on its batch",
    Reason.REVIEW: "a person has to decide",
    Reason.SYSTEM: "the service could not go on with it",
    Reason.CHILDREN: "its children have not ended",
}
_SET_ASIDE = {
    Disposition.DEAD_LETTER: "a dead letter",
    Disposition.QUARANTINE: "quarantined",
    Disposition.REJECTED: "rejected in review",
}
_STOPPED = {"pause": "paused", "drain": "drained"}
_MOST_STEPS = 3


@dataclass(frozen=True, slots=True)
class Queue:
    """The lane as a due job finds it. `ahead` are jobs that will be claimed before it; `eta_s` None: not known."""

    lane: str
    ahead: int
    eta_s: float | None
    workers: int
    slots: int
    in_use: int
    paused: str | None = None
    opens_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Worker:
    """The worker that runs a job; `steps` go on, each with its name, its key and since when."""

    host: str
    pid: int
    alive: bool
    beat_age_s: float
    steps: tuple[tuple[str, str, datetime], ...] = ()


@dataclass(frozen=True, slots=True)
class Situation:
    """A job with what else is true of it now; only what its state calls for is there.

    `stopped`: the pool it is parked for, and what an operator did to it.
    """

    job: Job
    now: datetime
    queue: Queue | None = None
    ahead: Ahead | None = None
    children: tuple[int, int] | None = None
    worker: Worker | None = None
    stopped: tuple[str, str] | None = None

    @property
    def due(self) -> bool:
        """Whether its time has come."""
        return self.job.due_at <= self.now

    def sentence(self) -> str:
        """One sentence, its state first."""
        return f"{self.job.status}: {self._why()}"

    def _why(self) -> str:
        if self.job.status.terminal:
            return self._ended()
        if self.job.status is Status.RUNNING:
            return self._running()
        if self.job.reason is Reason.ORDERING:
            return self._ordered()
        return self._queued(self.queue) if self.queue is not None else self._waiting()

    def _queued(self, queue: Queue) -> str:
        over = f"its time has come ({self.job.reason}), " if self.job.reason is not None else ""
        return over + (_held(queue, self.now) or f"{_ahead(queue)}, {_about(queue)}")

    def _ordered(self) -> str:
        if self.ahead is None:
            return "its turn has just come, by its ordering key"
        shown_id, more = ids.show("job", self.ahead.job_id), self.ahead.count - 1
        rest = f" and {more} more" if more else ""
        return f"behind {shown_id} ({self.ahead.status}){rest}, by its ordering key"

    def _waiting(self) -> str:
        job, reason = self.job, self.job.reason
        left = shown((job.due_at - self.now).total_seconds())
        if reason is Reason.RETRY:
            return f"attempt {job.attempt} in {left}{_after(job.error)}"
        if reason is Reason.SLEEP:
            return f"sleeps until {_moment(job.due_at)}, {left} more"
        if reason is Reason.OFF_PEAK:
            return f"off-peak hours begin at {_moment(job.due_at)}, in {left}"
        if reason is Reason.CHILDREN and self.children is not None:
            started, open_ = self.children
            return f"{started - open_} of {started} children have ended"
        if reason is Reason.PROVIDER_DOWN and job.error is not None and job.error.step:
            return f"{job.error.detail} ({reason}), looks again in {left}"
        if job.status is Status.WAITING and reason is not None:
            why = _WAITS[reason] if self.stopped is None else _by_hand(*self.stopped)
            return f"{why} ({reason}){_after(job.error)}, looks again in {left}"
        return f"starts at {_moment(job.due_at)}, in {left}"

    def _running(self) -> str:
        job, worker = self.job, self.worker
        steps = worker.steps if worker else ()
        named = [f"step {_step(name, key)} for {self._since(since)}" for name, key, since in steps[:_MOST_STEPS]]
        if len(steps) > _MOST_STEPS:
            named.append(f"{len(steps) - _MOST_STEPS} more steps")
        parts = named or [f"for {self._since(job.claimed_at)}" if job.claimed_at else "just claimed"]
        parts.append(f"attempt {job.attempt}")
        if worker is not None:
            parts.append(f"on {worker.host}:{worker.pid}" if worker.alive else f"its worker {worker.host} is lost")
        if job.cancel_requested:
            parts.append("told to cancel")
        return ", ".join(parts)

    def _ended(self) -> str:
        job = self.job
        took = f"after {shown((job.ended_at - job.created_at).total_seconds())}" if job.ended_at else "at once"
        tried = f", attempt {job.attempt}" if job.started_at else ", before it started"
        if job.error is None:
            lacks = f", without {len(job.degraded)} of its parts" if job.degraded else ""
            return f"{took}{tried}{lacks}"
        aside = f", {_SET_ASIDE[job.disposition]}" if job.disposition else ""
        return f"{_failure(job.error)}, {took}{tried}{aside}"

    def _since(self, moment: datetime) -> str:
        return shown((self.now - moment).total_seconds())


def _held(queue: Queue, now: datetime) -> str | None:
    """Why it starts no time soon, whatever is ahead of it."""
    if queue.paused is not None:
        return f"{queue.paused} is paused, {_ahead(queue)}"
    if queue.opens_at is not None:
        opens, left = _moment(queue.opens_at), shown((queue.opens_at - now).total_seconds())
        return f"off-peak hours of {queue.lane} begin at {opens}, in {left}"
    return None if queue.workers else f"no worker serves {queue.lane}, {_ahead(queue)}"


def _by_hand(pool: str, act: str) -> str:
    return f"an operator has {_STOPPED[act]} the pool {pool}"


def _ahead(queue: Queue) -> str:
    count = f"over {MOST:,}" if queue.ahead > MOST else f"{queue.ahead:,}" if queue.ahead else "none"
    return f"{count} ahead in {queue.lane}"


def _about(queue: Queue) -> str:
    return "nothing has ended here of late to go by" if queue.eta_s is None else f"about {shown(max(1, queue.eta_s))}"


def _after(error: Failure | None) -> str:
    return f", after {_failure(error)}" if error else ""


def _failure(error: Failure) -> str:
    at = f" in step {error.step}" if error.step else ""
    return f"{error.code} ({error.error_class}){at}"


def _step(name: str, key: str) -> str:
    return f"{name}[{key}]" if key else name


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")
