"""What a run lost, doubled or ran again: computed from the outside journals and, for what is stored, from SQL.

L: accepted jobs without exactly one end state, or that claim work nobody did. W: due webhooks neither delivered nor
dead. D: finished steps run again, double ends, two ids for one webhook or one key, jobs that were refused. A step that
was in flight when its worker died may run once more, with the same idempotency key: that is counted apart, as `reruns`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.domain import ids
from tests.faults.journals import Asked, Hook, StepMark, Told

# The queue is full: an answer, after which there must be no job.
_REFUSED = 429
ENDS = ("job.succeeded", "job.failed", "job.canceled", "job.expired")


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything that was journaled outside about one run."""

    told: list[Told]
    marks: list[StepMark]
    hooks: list[Hook]
    asked: list[Asked]


@dataclass(frozen=True, slots=True)
class Stored:
    """The rows of one run. Jobs have `key`, the name their steps note; steps `ended_at` of their final record."""

    jobs: list[dict[str, Any]]
    ends: list[dict[str, Any]]
    steps: list[dict[str, Any]]
    deliveries: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Each of `lost`, `webhooks` and `doubled` says in words what is wrong; empty is right."""

    jobs: int
    ended: Counter[str]
    lost: list[str]
    webhooks: list[str]
    doubled: list[str]
    reruns: int
    unanswered: int

    @property
    def clean(self) -> bool:
        return not (self.lost or self.webhooks or self.doubled)

    def found(self) -> list[str]:
        """Everything that is wrong."""
        return [*self.lost, *self.webhooks, *self.doubled]

    def explained(self) -> str:
        """The first of each, for a failing test."""
        return "\n".join([*self.lost[:5], *self.webhooks[:5], *self.doubled[:5], str(dict(self.ended))])


def judge(seen: Seen, stored: Stored, felled: Collection[int] = ()) -> Verdict:
    """The verdict on a run that has come to rest; only what ran in the `felled` processes may have been cut off."""
    return Verdict(
        jobs=len(stored.jobs),
        ended=Counter(job["status"] for job in stored.jobs),
        lost=[*_lost(seen, stored), *_claimed_but_not_done(seen, stored)],
        webhooks=list(_undelivered(seen, stored)),
        doubled=[
            *_two_jobs_for_a_key(seen, stored),
            *_refused_and_stored(seen, stored),
            *_double_ends(stored),
            *_run_again(seen, stored),
            *_run_twice(seen, felled),
            *_two_ids(seen, stored),
            *_two_upstream_keys(seen),
        ],
        reruns=sum(count - 1 for count in _begins(seen.marks).values()),
        unanswered=sum(told.id is None for told in seen.told),
    )


def _lost(seen: Seen, stored: Stored) -> Iterator[str]:
    by_id = {job["id"]: job for job in stored.jobs}
    ends = Counter(row["job_id"] for row in stored.ends)
    for key, shown in {(told.key, told.id) for told in seen.told if told.id}:
        job = by_id.get(ids.read("job", shown))
        if job is None:
            yield f"L {key}: accepted as {shown}, and not stored"
        elif f"job.{job['status']}" not in ENDS:
            yield f"L {key}: {shown} is {job['status']}"
        elif not ends[job["id"]]:
            yield f"L {key}: {shown} ended without an event"
    answered = {told.key for told in seen.told if told.id or told.status == _REFUSED}
    for key in {told.key for told in seen.told} - answered:
        yield f"L {key}: never answered"


def _claimed_but_not_done(seen: Seen, stored: Stored) -> Iterator[str]:
    """A job that succeeded, though a step has no end outside."""
    done = {(mark.name, mark.step) for mark in seen.marks if mark.edge == "end"}
    for job in stored.jobs:
        if job["status"] == "succeeded":
            missing = [n for n in range(job["steps"]) if (job["key"], n) not in done]
            if missing:
                yield f"L {job['key']}: succeeded without steps {missing}"


def _undelivered(seen: Seen, stored: Stored) -> Iterator[str]:
    rows = defaultdict(list)
    for row in stored.deliveries:
        rows[row["job_id"]].append(row)
    arrived = {hook.id for hook in seen.hooks}
    for job in stored.jobs:
        if not job["has_webhook"] or f"job.{job['status']}" not in ENDS:
            continue
        mine = [row for row in rows[job["id"]] if row["type"] == f"job.{job['status']}"]
        if not mine:
            yield f"W {job['key']}: no delivery for its end"
        for row in mine:
            if row["status"] not in ("succeeded", "dead"):
                yield f"W {job['key']}: delivery is {row['status']}"
            elif row["status"] == "succeeded" and ids.show("evt", row["event_id"]) not in arrived:
                yield f"W {job['key']}: delivered as {row['event_id']}, and not received"


def _two_jobs_for_a_key(seen: Seen, stored: Stored) -> Iterator[str]:
    told = defaultdict(set)
    for one in seen.told:
        if one.id:
            told[one.key].add(one.id)
    for key, shown in told.items():
        if len(shown) > 1:
            yield f"D {key}: told {sorted(shown)}"
    for key, count in Counter(job["key"] for job in stored.jobs).items():
        if count > 1:
            yield f"D {key}: stored {count} times"


def _refused_and_stored(seen: Seen, stored: Stored) -> Iterator[str]:
    refused = {told.key for told in seen.told if told.status == _REFUSED} - {told.key for told in seen.told if told.id}
    for key in refused & {job["key"] for job in stored.jobs}:
        yield f"D {key}: refused, and stored all the same"


def _double_ends(stored: Stored) -> Iterator[str]:
    for job_id, count in Counter(row["job_id"] for row in stored.ends).items():
        if count > 1:
            yield f"D {job_id}: {count} end events"


def _run_again(seen: Seen, stored: Stored) -> Iterator[str]:
    """A step that began after its record was written, here or in another process."""
    keys = {job["id"]: job["key"] for job in stored.jobs}
    ended: dict[tuple[str, str], datetime] = {
        (keys.get(row["job_id"], ""), row["key"]): row["ended_at"] for row in stored.steps if row["name"] == "walk"
    }
    for mark in seen.marks:
        end = ended.get((mark.name, str(mark.step)))
        if mark.edge == "begin" and end is not None and mark.at > end.timestamp():
            yield f"D {mark.name}: step {mark.step} began {mark.at - end.timestamp():.3f} s after its record"


def _run_twice(seen: Seen, felled: Collection[int]) -> Iterator[str]:
    """A step that began again, though the process that had begun it was not felled."""
    last: dict[tuple[str, int], int] = {}
    for mark in seen.marks:
        if mark.edge == "begin":
            before = last.get((mark.name, mark.step))
            if before is not None and before not in felled:
                yield f"D {mark.name}: step {mark.step} began in {before}, which lives, and again in {mark.pid}"
            last[mark.name, mark.step] = mark.pid


def _two_ids(seen: Seen, stored: Stored) -> Iterator[str]:
    arrived = defaultdict(set)
    for hook in seen.hooks:
        arrived[hook.job_id, hook.type].add(hook.id)
    for (job_id, kind), found in arrived.items():
        if len(found) > 1:
            yield f"D {job_id}: {kind} came as {sorted(found)}"
    for (job_id, kind), count in Counter((row["job_id"], row["type"]) for row in stored.deliveries).items():
        if count > 1:
            yield f"D {job_id}: {count} deliveries of {kind}"


def _two_upstream_keys(seen: Seen) -> Iterator[str]:
    shown = defaultdict(set)
    for mark in seen.marks:
        shown[f"{mark.name} step {mark.step}"].add(mark.key)
    for call in seen.asked:
        shown[call.item].add(call.key)
    for what, keys in shown.items():
        if len(keys) > 1:
            yield f"D {what}: shown to the outside under {len(keys)} keys"


def _begins(marks: list[StepMark]) -> Counter[tuple[str, int]]:
    return Counter((mark.name, mark.step) for mark in marks if mark.edge == "begin")
