"""What the provider's call log and the ends of the jobs tell of a run, in the words of the simulation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bench.limits.provider import Answer
from bench.limits.scenario import Scenario
from bench.limits.tally import Tally
from bench.limits.traffic import Job

_NOT_TAKEN = ("http_503", "timeout")


@dataclass(frozen=True, slots=True)
class Called:
    """One call as the provider saw it; times in seconds since the start."""

    n: int
    sent: float
    ended: float
    status: int
    tokens: int
    alone_s: float
    taken: bool


@dataclass(frozen=True, slots=True)
class Told:
    """A run as `bench.limits.measure` takes it."""

    scenario: Scenario
    tally: Tally
    jobs: Sequence[Job]
    alone_s: Mapping[int, float]

    def unloaded_s(self, job: Job) -> float:
        """What its call would have taken had nobody else called; of one that was not answered, what it should take."""
        hidden = self.scenario.hidden
        return self.alone_s.get(job.id, hidden.first_token_s + hidden.token_s * job.output)


def read(rows: Iterable[Mapping[str, Any]], began: float, until: float) -> list[Called]:
    """The call log; what still runs ends with the run. What came before the start was to make things ready."""
    return [_called(row, began, until) for row in rows if row["item"] and _at(row["arrived_at"], began) >= 0]


def _called(row: Mapping[str, Any], began: float, until: float) -> Called:
    outcome, ended = row["outcome"] or "", row["ended_at"]
    return Called(
        n=int(row["item"]),
        sent=_at(row["arrived_at"], began),
        ended=_at(ended, began) if ended else until,
        status=_status(row),
        tokens=row["prompt_tokens"] + row["completion_tokens"],
        alone_s=row["alone_s"],
        taken=not outcome.startswith("limit_") and outcome not in _NOT_TAKEN,
    )


def _status(row: Mapping[str, Any]) -> int:
    """598: the client left; 0: nobody knows yet."""
    if row["ended_at"] is None:
        return 0
    return row["status"] or 598


def told(
    scenario: Scenario, jobs: Sequence[Job], calls: Sequence[Called], seen: Mapping[int, float] | None = None
) -> Told:
    """Counts as in the simulation, by the same tally. `seen`: when the caller of a job had its answer, where that is
    known better than by the call's own end.
    """
    tally, by_id = Tally(int(scenario.seconds)), {job.id: job for job in jobs}
    steps = [(call.sent, 1, call) for call in calls] + [(call.ended, 0, call) for call in calls]
    in_flight = 0
    for when, begins, call in sorted(steps, key=lambda step: step[:2]):
        if when >= scenario.seconds:
            break
        tally.pass_time(when, in_flight)
        if begins:
            in_flight += call.status != 429
            _begin(tally, call)
        else:
            in_flight -= call.status != 429
            _end(tally, call, by_id[call.n], when if seen is None else seen.get(call.n))
    tally.pass_time(scenario.seconds, in_flight)
    return Told(scenario, tally, jobs, {call.n: call.alone_s for call in calls if call.status == 200})


def _begin(tally: Tally, call: Called) -> None:
    tally.attempts[int(call.sent)] += 1
    if call.taken:
        tally.take(call.sent, call.tokens)


def _end(tally: Tally, call: Called, job: Job, seen: float | None) -> None:
    """An answer that its caller never had is none."""
    answer = Answer(call.status, call.sent, call.ended)
    if call.status != 200:
        tally.answer(call.ended, job, answer)
    elif seen is not None and seen < tally.seconds + 1:
        tally.answer(seen, job, answer)


def _at(text: str, began: float) -> float:
    return datetime.fromisoformat(text).timestamp() - began
