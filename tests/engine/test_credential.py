"""A step whose provider refuses the credential: it waits for people, so long and no longer, and uses up no try."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.domain.errors import ErrorClass, MustWait
from app.domain.job import Reason
from app.domain.step import StepStatus
from app.engine.journal import MemoryJournal
from app.engine.perform import Failed, Outcome, Parked, Succeeded, perform
from app.engine.virtual import VirtualClock
from laneway import Policy
from tests.engine.support import START, Flaky, flow, make_run

_WAIT_S = 900.0


def _refused(clock: VirtualClock) -> MustWait:
    return MustWait(Reason.PROVIDER_AUTH, clock.now() + timedelta(seconds=120), "main/mini")


class _Job:
    """Runs of one job, each when the one before said."""

    def __init__(self, policy: Policy | None = None) -> None:
        self.journal, self.clock = MemoryJournal(), VirtualClock(START)
        self._policy, self._runs = policy, 0

    async def run(self, *errors: BaseException) -> Outcome:
        given = make_run("x", journal=self.journal, clock=self.clock, resumed=self._runs > 0, refused_wait_s=_WAIT_S)
        self._runs += 1
        outcome = await perform(flow(Flaky(*errors), policy=self._policy), given)
        if isinstance(outcome, Parked):
            self.clock.move_to(outcome.until)
        return outcome


async def test_it_waits_for_its_pool_uncharged_and_goes_on() -> None:
    job = _Job()
    outcome = await job.run(_refused(job.clock))
    assert isinstance(outcome, Parked) and outcome.failure is not None
    assert (outcome.reason, outcome.charged, outcome.pool) == (Reason.PROVIDER_AUTH, False, "main/mini")
    assert (outcome.failure.code, outcome.failure.step) == ("provider_auth", "only")
    assert isinstance(await job.run(), Succeeded)
    assert job.journal.records[0].tries == 1


async def test_after_so_long_it_fails() -> None:
    job = _Job()
    outcome = await job.run(_refused(job.clock))
    while isinstance(outcome, Parked):
        assert job.clock.now() <= START + timedelta(seconds=_WAIT_S)
        outcome = await job.run(_refused(job.clock))
    assert isinstance(outcome, Failed)
    assert job.clock.now() == START + timedelta(seconds=_WAIT_S)
    assert (outcome.failure.code, outcome.failure.error_class) == ("provider_auth", ErrorClass.SYSTEM)
    assert job.journal.records[0].status is StepStatus.FAILED


@pytest.mark.parametrize("policy", [Policy(critical=False), Policy(fallback=lambda: "known")])
async def test_who_can_do_without_does_not_wait(policy: Policy) -> None:
    job = _Job(policy)
    assert isinstance(await job.run(_refused(job.clock)), Succeeded)
