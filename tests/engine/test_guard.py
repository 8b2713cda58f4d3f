"""Steps behind a breaker that a real Valkey keeps: it opens, holds, costs no try, and lets them back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from itertools import count

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from app.bell.redis import open_redis
from app.domain.clock import SYSTEM_CLOCK
from app.domain.job import Reason
from app.domain.step import StepStatus, Via
from app.engine.outcome import Failed, Parked, Succeeded
from app.gateway.breakers.breaker import Breakers
from app.gateway.breakers.dependency import Dependency
from app.gateway.pools.ending import Ending
from laneway import InputError, Policy, ProcessingError, SystemFault, TransientError
from tests.engine.support import PROJECT, Flaky, once
from tests.supervise.embedded import RunningServer, running_valkey

CRM = Dependency(PROJECT, False, "crm")
_prefixes = count()


@pytest.fixture(scope="module")
def valkey() -> Iterator[RunningServer]:
    with running_valkey() as server:
        yield server


@pytest_asyncio.fixture
async def breakers(valkey: RunningServer) -> AsyncIterator[Breakers]:
    client: Redis = open_redis(valkey.url)
    made = Breakers(client, prefix=f"guard{next(_prefixes)}:")
    yield made
    await made.close()
    await client.aclose()


async def opened(breakers: Breakers) -> None:
    """Ten others have found nobody there."""
    for _ in range(10):
        await breakers.tell(CRM, await breakers.ask(CRM), Ending.REFUSED)


async def test_ten_jobs_that_reach_nobody_open_it_and_the_next_is_held(breakers: Breakers) -> None:
    flaky = Flaky(*[ConnectionRefusedError("nobody there")] * 20)
    policy = Policy(breaker="crm", tries=4, backoff="10m")
    outcomes = [(await once(flaky, policy=policy, breakers=breakers))[0] for _ in range(12)]
    reasons = [outcome.reason for outcome in outcomes if isinstance(outcome, Parked)]
    # The tenth opened it: what it met was the outage.
    assert reasons == [*[Reason.RETRY] * 9, *[Reason.PROVIDER_DOWN] * 3]
    assert flaky.calls == 10
    assert not any(outcome.charged for outcome in outcomes[9:] if isinstance(outcome, Parked))


async def test_who_is_held_leaves_no_record_and_uses_no_try(breakers: Breakers) -> None:
    await opened(breakers)
    outcome, journal = await once(Flaky(), policy=Policy(breaker="crm"), breakers=breakers)
    assert isinstance(outcome, Parked)
    assert (outcome.reason, outcome.charged) == (Reason.PROVIDER_DOWN, False)
    assert outcome.failure is not None, "what it waits for"
    assert (outcome.failure.step, outcome.failure.detail.split(": ")[1]) == ("only", "the breaker 'crm' is open")
    assert journal.records == []


async def test_the_probe_that_fails_uses_no_try_and_one_that_succeeds_lets_the_others_back(breakers: Breakers) -> None:
    await opened(breakers)
    flaky = Flaky(*[TransientError("still away")] * 2)
    outcome = None
    async with asyncio.timeout(60):
        while not isinstance(outcome, Succeeded):
            outcome, journal = await once(flaky, policy=Policy(breaker="crm", tries=2), breakers=breakers)
            assert isinstance(outcome, Succeeded) or (isinstance(outcome, Parked) and not outcome.charged)
            await asyncio.sleep(0.05)
    assert flaky.calls == 3
    assert journal.records[0].tries == 1
    assert (await breakers.look(CRM)).state == "half_open"


async def test_a_step_that_may_be_tried_only_once_is_not_repeated_for_the_breaker(breakers: Breakers) -> None:
    flaky = Flaky(*[TransientError("lost")] * 20)
    for _ in range(20):
        outcome, _ = await once(flaky, policy=Policy(breaker="crm", tries=1), breakers=breakers)
        assert isinstance(outcome, Failed)
    assert (await breakers.look(CRM)).state == "open"


@pytest.mark.parametrize("error", [InputError("bad"), ProcessingError("wrong"), ValueError("bug"), SystemFault("disk")])
async def test_what_is_not_the_dependency_s_fault_never_opens_it(breakers: Breakers, error: Exception) -> None:
    for _ in range(25):
        await once(Flaky(error), policy=Policy(breaker="crm", tries=1), breakers=breakers)
    assert (await breakers.look(CRM)).state == "closed"


async def test_timeouts_open_it(breakers: Breakers) -> None:
    async def slow() -> None:
        await asyncio.sleep(60)

    policy = Policy(breaker="crm", tries=1, timeout="10ms")
    await asyncio.gather(*(once(slow, policy=policy, breakers=breakers) for _ in range(20)))
    assert (await breakers.look(CRM)).state == "open"


@pytest.mark.parametrize(("slow_share", "state"), [(0.01, "open"), (1.0, "closed")])
async def test_tries_that_end_well_and_late_open_it(breakers: Breakers, slow_share: float, state: str) -> None:
    async def late() -> str:
        await asyncio.sleep(0.15)
        return "here"

    breakers.slow_share = slow_share
    policy = Policy(breaker="crm", timeout="10s")
    trying = (once(late, policy=policy, breakers=breakers, clock=SYSTEM_CLOCK) for _ in range(20))
    ended = await asyncio.gather(*trying)
    assert all(isinstance(outcome, Succeeded) for outcome, _ in ended)
    assert (await breakers.look(CRM)).state == state


async def test_while_it_is_open_the_fallback_answers_at_once(breakers: Breakers) -> None:
    await opened(breakers)
    flaky = Flaky()
    policy = Policy(breaker="crm", fallback=lambda: "by hand")
    outcome, journal = await once(flaky, policy=policy, breakers=breakers)
    assert isinstance(outcome, Succeeded)
    assert (outcome.output, flaky.calls) == (b'{"result":"by hand"}', 0)
    assert journal.records[0].via is Via.FALLBACK_FUNCTION


async def test_while_it_is_open_a_step_that_is_not_critical_is_left_out_at_once(breakers: Breakers) -> None:
    await opened(breakers)
    outcome, journal = await once(Flaky(), policy=Policy(breaker="crm", critical=False), breakers=breakers)
    assert isinstance(outcome, Succeeded)
    assert (outcome.output, outcome.incomplete) == (b'{"result":null}', True)
    assert outcome.degraded == ({"step": "only", "reason": "provider_unavailable"},)
    assert (journal.records[0].status, journal.records[0].tries) == (StepStatus.FAILED, 0)
