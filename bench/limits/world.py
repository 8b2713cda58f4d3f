"""One run: jobs arrive, a policy sends them, the provider answers, everything is counted."""

from __future__ import annotations

import random
from typing import Protocol

from bench.limits.clock import Clock
from bench.limits.provider import Answer, Provider
from bench.limits.scenario import Scenario
from bench.limits.tally import Tally
from bench.limits.traffic import Job, jobs


class Policy(Protocol):
    """Decides when jobs are sent."""

    def arrive(self, arrivals: list[Job]) -> None:
        """Jobs that may be sent from now on."""

    def ended(self, job: Job, answer: Answer) -> None:
        """A call that `World.send` made has ended."""


class World:
    """Virtual time, the provider and the tally of a run."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.scenario, self.seed = scenario, seed
        self.clock = Clock()
        self.chance = random.Random(seed * 31 + 17)
        self.tally = Tally(int(scenario.seconds))
        self.provider = Provider(scenario.hidden, self.clock, seed, self._accepted)
        self.jobs = jobs(scenario.traffic, seed, scenario.seconds)
        self._policy: Policy | None = None

    def run(self, policy: Policy) -> None:
        self._policy = policy
        together: dict[float, list[Job]] = {}
        for job in self.jobs:
            together.setdefault(job.arrives, []).append(job)
        for when, arrivals in together.items():
            self.clock.at(when, policy.arrive, arrivals)
        self.clock.run(self.scenario.seconds)

    def unloaded_s(self, job: Job) -> float:
        """What its call takes when nobody else calls."""
        return self.provider.unloaded_s(job)

    def send(self, job: Job) -> None:
        """One attempt; its answer comes to the policy."""
        now = self.clock.now
        job.attempts += 1
        self.tally.attempts[int(now)] += 1
        self.tally.pass_time(now, self.provider.in_flight)
        self.provider.call(job, self._answered)

    def _accepted(self, job: Job) -> None:
        kept = job.output if self.scenario.hidden.settles else job.max_tokens
        self.tally.take(self.clock.now, job.input + kept)

    def _answered(self, job: Job, answer: Answer) -> None:
        assert self._policy is not None
        # The answer to a call that the provider took has just left its count.
        self.tally.pass_time(self.clock.now, self.provider.in_flight + (answer.status not in (429, 503)))
        self.tally.answer(self.clock.now, job, answer)
        self._policy.ended(job, answer)
