"""What is counted during a run, by the second."""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.limits.provider import Answer
from bench.limits.traffic import REAL_TIME, Job


@dataclass(slots=True)
class Tally:
    """Counts of each second, and the wait of each real-time and each bulk job that was done."""

    seconds: int
    attempts: list[int] = field(init=False)
    accepted: list[int] = field(init=False)
    accepted_tokens: list[int] = field(init=False)
    refused: list[int] = field(init=False)
    done: list[int] = field(init=False)
    in_flight: list[float] = field(init=False)
    real_time: list[tuple[float, float]] = field(default_factory=list)  # arrival, seconds until the answer
    bulk: list[tuple[str, float]] = field(default_factory=list)  # tenant, seconds until the answer
    sent_well: list[float] = field(default_factory=list)  # when calls that succeeded were sent
    useful: int = 0
    wasted: int = 0
    lost: int = 0
    scripts: int = 0
    _last: float = 0.0

    def __post_init__(self) -> None:
        size = self.seconds + 2
        self.attempts, self.accepted, self.accepted_tokens = [0] * size, [0] * size, [0] * size
        self.refused, self.done, self.in_flight = [0] * size, [0] * size, [0.0] * size

    def pass_time(self, now: float, in_flight: int) -> None:
        """So many calls were in flight since the last event."""
        while self._last < now:
            second = int(self._last)
            until = min(now, second + 1.0)
            self.in_flight[min(second, self.seconds)] += in_flight * (until - self._last)
            self._last = until

    def take(self, now: float, tokens: int) -> None:
        self.accepted[int(now)] += 1
        self.accepted_tokens[int(now)] += tokens

    def answer(self, now: float, job: Job, answer: Answer) -> None:
        if answer.status == 200:
            self._well(now, job, answer)
        elif answer.status == 429:
            self.refused[int(answer.sent)] += 1
            self.wasted += job.input
        else:
            self.wasted += job.input + (job.output if answer.status in (500, 598) else 0)

    def _well(self, now: float, job: Job, answer: Answer) -> None:
        self.done[int(now)] += 1
        self.useful += job.input + job.output
        self.sent_well.append(answer.sent)
        wait_s = now - job.arrives
        if job.lane == REAL_TIME:
            self.real_time.append((job.arrives, wait_s))
        else:
            self.bulk.append((job.tenant, wait_s))
