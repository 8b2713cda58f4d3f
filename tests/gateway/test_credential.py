"""A credential that is refused: one call finds out for all workers, the others wait; what lets them go on."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from redis.asyncio import Redis

from app.domain.call import Call
from app.domain.errors import MustWait, ProviderAuth
from app.domain.job import Reason
from app.gateway.gateway import Gateway
from app.gateway.pools.levers import Levers
from tests.gateway.asking import request, settings_for
from tests.gateway.conftest import NewGateway
from tests.gateway.pool_state import hasten_trial
from tests.loadtest.provider_process import ProviderProcess, running_provider

_POOL = "main/mini"


async def _refused(gateway: Gateway, provider: ProviderProcess, kind: str = "insufficient_quota") -> None:
    """The pool meets a credential that is refused."""
    provider.set_faults(error_rates={kind: 1})
    with pytest.raises(ProviderAuth):
        await gateway.complete(request(), lambda call: None)


async def _must_wait(gateway: Gateway) -> MustWait:
    with pytest.raises(MustWait) as caught:
        await gateway.complete(request(), lambda call: None)
    return caught.value


async def _goes(gateway: Gateway) -> None:
    """Calls go again, as soon as this process has heard of it."""
    async with asyncio.timeout(5):
        while True:
            with suppress(MustWait):
                await gateway.complete(request(), lambda call: None)
                return
            await asyncio.sleep(0.02)


async def test_nobody_else_calls_with_a_refused_credential(new_gateway: NewGateway, provider: ProviderProcess) -> None:
    settings = settings_for(provider.base_url)
    await _refused(new_gateway(settings), provider)
    others = [new_gateway(settings) for _ in range(3)]
    waits = await asyncio.gather(*(_must_wait(others[n % 3]) for n in range(30)))
    assert {(wait.reason, wait.pool) for wait in waits} == {(Reason.PROVIDER_AUTH, _POOL)}
    assert len(provider.calls()) == 1


async def test_the_next_target_is_taken_at_once(new_gateway: NewGateway, provider: ProviderProcess) -> None:
    with running_provider("--api-key", "another") as locked:
        gateway = new_gateway(settings_for(locked.base_url, provider.base_url, key="mine"))
        calls: list[Call] = []
        for _ in range(3):
            await gateway.complete(request(), calls.append)
        assert [call.provider for call in calls] == ["main", "backup1", "backup1", "backup1"]


async def test_one_trial_finds_out_that_it_is_mended(
    new_gateway: NewGateway, provider: ProviderProcess, redis: Redis, prefix: str
) -> None:
    settings = settings_for(provider.base_url)
    gateway = new_gateway(settings)
    await _refused(gateway, provider)
    await hasten_trial(redis, prefix)
    looking = new_gateway(settings)
    waits = await asyncio.gather(*(_must_wait(looking) for _ in range(5)))
    assert {wait.reason for wait in waits} == {Reason.PROVIDER_AUTH}, "whose call was the trial waits too"
    assert len(provider.calls()) == 2
    provider.reset_faults()
    await hasten_trial(redis, prefix)
    await _goes(gateway)
    await asyncio.gather(*(gateway.complete(request(), lambda call: None) for _ in range(5)))


async def test_an_operator_or_another_key_lets_calls_go(
    new_gateway: NewGateway, provider: ProviderProcess, redis: Redis, prefix: str
) -> None:
    gateway, levers = new_gateway(settings_for(provider.base_url)), Levers(redis, prefix)
    await _refused(gateway, provider)
    provider.reset_faults()
    assert (await _must_wait(gateway)).reason == Reason.PROVIDER_AUTH
    await levers.steer(_POOL, "resume")
    await _goes(gateway)
    await _refused(gateway, provider)
    provider.reset_faults()
    await new_gateway(settings_for(provider.base_url, key="another")).complete(request(), lambda call: None)


async def test_redis_holds_no_key(
    new_gateway: NewGateway, provider: ProviderProcess, redis: Redis, prefix: str
) -> None:
    await new_gateway(settings_for(provider.base_url, key="sk-very-secret")).complete(request(), lambda call: None)
    state = await redis.get(f"{prefix}{{{_POOL}}}:state")
    assert b"credential" in state and b"secret" not in state
