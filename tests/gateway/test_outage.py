"""A provider that is down, as callers of its pool meet it: turned away at once, one probe, and no try used up."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from app.domain.clock import SYSTEM_CLOCK
from app.domain.errors import MustWait, TransientError
from app.gateway.pools.limiter import Limiter
from app.gateway.pools.pool import NO_CONNECTION, CallResult, Permit, Pool
from app.settings import BreakerSettings
from tests.gateway.admitting import GOOD, admit, wide
from tests.gateway.asking import request, settings_for
from tests.gateway.conftest import NewGateway, NewLimiter
from tests.loadtest.provider_process import ProviderProcess, running_provider
from tests.stack import free_port

REFUSED = CallResult(NO_CONNECTION, 0.01)


async def down(limiter: Limiter, pool: Pool) -> MustWait:
    """Nobody is there; what the next caller hears, once the pool knows."""
    async with asyncio.timeout(30):
        while True:
            try:
                limiter.settle(await admit(limiter, pool, max_wait_s=60), REFUSED)
            except MustWait as wait:
                return wait


async def the_probe(limiter: Limiter, pool: Pool) -> Permit:
    """The next permit, however long it takes."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await admit(limiter, pool)
            except MustWait:
                await asyncio.sleep(0.05)


async def test_callers_are_turned_away_however_patient_they_are(new_limiter: NewLimiter) -> None:
    limiter, pool = new_limiter(), wide(50)
    began = SYSTEM_CLOCK.monotonic()
    wait = await down(limiter, pool)
    assert wait.reason == "provider_down"
    assert SYSTEM_CLOCK.monotonic() - began < 30
    with pytest.raises(MustWait) as caught:
        await admit(limiter, pool, "interactive", max_wait_s=60)
    assert caught.value.reason == "provider_down"


async def test_one_of_all_processes_gets_the_probe_and_others_go_on_when_it_succeeds(new_limiter: NewLimiter) -> None:
    limiters, pool = [new_limiter(), new_limiter()], wide(50)
    await down(limiters[0], pool)
    probe = await the_probe(limiters[1], pool)
    assert probe.probe
    limiters[1].settle(probe, GOOD)
    later = await the_probe(limiters[0], pool)
    assert not later.probe


async def turned_away(limiter: Limiter, pool: Pool, count: int) -> list[float]:
    """So many callers ask; in how many seconds they would come by themselves, should nobody wake them."""
    waits = await asyncio.gather(*(admit(limiter, pool) for _ in range(count)), return_exceptions=True)
    now = datetime.now(UTC)
    return sorted((wait.until - now).total_seconds() for wait in waits if isinstance(wait, MustWait))


async def test_a_crowd_is_left_to_the_pool_to_wake(new_limiter: NewLimiter) -> None:
    limiter, pool = new_limiter(), wide(50)
    await down(limiter, pool)
    backs = await turned_away(limiter, pool, 600)
    assert len(backs) >= 599
    assert backs[0] > 60
    # Five of them a second, no sooner for a probe that fails.
    assert backs[-1] - backs[0] > 110
    limiter.settle(await the_probe(limiter, pool), REFUSED)
    assert (await turned_away(limiter, pool, 2))[0] > 170


async def test_after_an_outage_the_next_one_is_as_if_there_had_been_none(new_limiter: NewLimiter) -> None:
    limiter, pool = new_limiter(), wide(50)
    await down(limiter, pool)
    await turned_away(limiter, pool, 600)
    limiter.settle(await the_probe(limiter, pool), GOOD)
    limiter.settle(await the_probe(limiter, pool), GOOD)
    await down(limiter, pool)
    assert (await turned_away(limiter, pool, 10))[0] < 75


async def test_a_call_that_was_the_probe_uses_no_try_of_its_caller(new_gateway: NewGateway) -> None:
    gateway = new_gateway(settings_for(f"http://127.0.0.1:{free_port()}/v1"))
    calls = []
    failed = 0
    async with asyncio.timeout(60):
        # Ten refused connections open it; the next that goes out is the probe.
        while len(calls) < 11:
            try:
                await gateway.complete(request(), calls.append)
            except TransientError:
                failed += 1
            except MustWait as wait:
                assert wait.reason == "provider_down"
                await asyncio.sleep(0.05)
    assert (failed, len(calls)) == (10, 11)


async def test_calls_that_end_in_a_known_outage_use_no_try(new_gateway: NewGateway) -> None:
    """Those that hung since before it was known, as many of them as were in flight."""
    with running_provider() as provider:
        provider.set_faults(down="hang")
        gateway = new_gateway(settings_for(provider.base_url))
        late = [asyncio.create_task(gateway.complete(request(timeout_s=4.0), lambda call: None)) for _ in range(3)]
        ended: list[object] = []
        async with asyncio.timeout(30):
            while not any(isinstance(one, MustWait) for one in ended):
                asking = (gateway.complete(request(timeout_s=0.2), lambda call: None) for _ in range(7))
                ended += await asyncio.gather(*asking, return_exceptions=True)
        found = await asyncio.gather(*late, return_exceptions=True)
    assert sum(isinstance(one, TransientError) for one in ended) >= 7
    assert [(type(one), getattr(one, "reason", "")) for one in found] == [(MustWait, "provider_down")] * 3


async def test_the_next_target_is_asked_while_one_is_down(new_gateway: NewGateway, provider: ProviderProcess) -> None:
    provider.set_answers({"hello": "positive"})
    gateway = new_gateway(settings_for(f"http://127.0.0.1:{free_port()}/v1", provider.base_url))
    calls = []
    answers = [await gateway.complete(request(), calls.append) for _ in range(20)]
    assert {answer.text for answer in answers} == {"positive"}
    assert sum(call.provider == "main" for call in calls) < 14


@pytest.mark.parametrize(("slow_share", "reasons"), [(0.1, {"provider_down"}), (1.0, set())])
async def test_answers_that_come_late_open_it(new_gateway: NewGateway, slow_share: float, reasons: set[str]) -> None:
    with running_provider(latency="fixed(400)") as provider:
        settings = settings_for(provider.base_url)
        gateway = new_gateway(settings.model_copy(update={"breaker": BreakerSettings(slow_share=slow_share)}))
        ended: list[object] = []
        for _ in range(3):
            asking = (gateway.complete(request(timeout_s=3.0), lambda call: None) for _ in range(20))
            ended += await asyncio.gather(*asking, return_exceptions=True)
        assert {one.reason for one in ended if isinstance(one, MustWait)} == reasons
        assert sum(not isinstance(one, Exception) for one in ended) >= 10
