"""Breakers while Redis is away: one process counts alone, and opens when the shared rules would."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import MustWait
from app.gateway.pools.breaker_away import LocalBreaker
from app.gateway.pools.ending import Ending
from app.gateway.pools.levers import Levers
from app.gateway.pools.limiter import Limiter
from app.gateway.pools.pool import NO_CONNECTION, CallResult, Permit
from tests.gateway.admitting import GOOD, admit, wide
from tests.gateway.conftest import NewLimiter, open_redis
from tests.gateway.test_breaker_rules import Breaker
from tests.supervise.embedded import RunningServer

_POOL = wide(50)
_BROKEN, _LIMITED, _SLOW = (
    CallResult(500, 0.01),
    CallResult(429, 0.01, retry_after_s=0.0),
    CallResult(200, 9, slow=True),
)


@given(st.lists(st.sampled_from(Ending), max_size=80))
def test_it_opens_with_the_very_outcome_that_opens_the_shared_one(endings: list[Ending]) -> None:
    shared, local = Breaker(), LocalBreaker(False, 0.0)
    # Within one bucket, so that both look at the same outcomes.
    shared.now -= shared.now % 10
    for ending in endings:
        shared.outcome(ending.value)
        local.tell(1.0, False, ending)
        assert local.opened == (shared.state == "open")
        if local.opened:
            return


def test_outcomes_are_forgotten_after_thirty_seconds() -> None:
    local = LocalBreaker(False, 0.0)
    for second in range(40):
        local.tell(2.0 * second, False, Ending.FAILED)
    assert not local.opened


def test_probes_become_rarer_and_one_that_ends_well_closes_it() -> None:
    local = LocalBreaker(True, 0.0)
    probes = [second / 10 for second in range(3000) if local.wait_s(second / 10) == 0]
    assert [round(at) for at in probes[:6]] == [0, 1, 3, 7, 15, 30]
    assert max(later - at for at, later in pairwise(probes)) <= 15.1
    local.tell(300.0, False, Ending.OK)
    assert local.opened
    local.tell(300.0, True, Ending.OK)
    assert not local.opened


@pytest.mark.parametrize("opened", [True, False])
@given(endings=st.lists(st.sampled_from(Ending), max_size=40), probes=st.booleans())
def test_what_was_forced_stays_so(opened: bool, endings: list[Ending], probes: bool) -> None:
    local = LocalBreaker(opened, 0.0, forced=True)
    for second, ending in enumerate(endings):
        assert (local.wait_s(float(second)) > 30.0) == opened
        local.tell(float(second), probes, ending)
    assert local.opened == opened
    # Nobody is woken to look.
    assert not opened or local.probe_in_s(100.0) > 30.0


async def end_as(limiter: Limiter, *results: CallResult) -> None:
    """So many calls, each after the one before it."""
    for result in results:
        limiter.settle(await admit(limiter, _POOL), result)


async def turned_away(limiter: Limiter) -> bool:
    """Whether the next caller is, as one is for whom nobody is there."""
    try:
        limiter.settle(await admit(limiter, _POOL), None)
    except MustWait as wait:
        return wait.reason == "provider_down"
    return False


async def test_a_pool_that_was_forced_open_stays_open(
    new_limiter: NewLimiter, own_valkey: RunningServer, prefix: str
) -> None:
    limiter = new_limiter(own_valkey)
    async with open_redis(own_valkey.url) as redis:
        await end_as(limiter, GOOD)
        await Levers(redis, prefix).steer(_POOL.name, "breaker", "open")
    # What is heard is at most a second old.
    await asyncio.sleep(1.1)
    assert await turned_away(limiter)
    own_valkey.kill()
    for _ in range(3):
        assert await turned_away(limiter)
        await asyncio.sleep(0.1)
    assert limiter.away and limiter.down(_POOL)
    own_valkey.start()


async def test_a_pool_that_was_forced_closed_stays_closed(
    new_limiter: NewLimiter, own_valkey: RunningServer, prefix: str
) -> None:
    limiter = new_limiter(own_valkey)
    async with open_redis(own_valkey.url) as redis:
        limiter.settle(await admit(limiter, _POOL), GOOD)
        await Levers(redis, prefix).steer(_POOL.name, "breaker", "closed")
    await asyncio.sleep(1.1)
    await end_as(limiter, GOOD)
    own_valkey.kill()
    await end_as(limiter, *[_BROKEN] * 30)
    assert limiter.away and not await turned_away(limiter)
    own_valkey.start()


@pytest.mark.parametrize(
    "results",
    [[CallResult(NO_CONNECTION, 0.01)] * 10, [_BROKEN] * 20, [_SLOW] * 20, [GOOD] * 10 + [_BROKEN] * 10],
    ids=["refused", "failed", "slow", "half of them"],
)
async def test_a_pool_has_one_too(
    new_limiter: NewLimiter, own_valkey: RunningServer, results: list[CallResult]
) -> None:
    limiter = new_limiter(own_valkey)
    own_valkey.kill()
    await end_as(limiter, _LIMITED, *results[:-1])
    assert limiter.away and not await turned_away(limiter)
    await end_as(limiter, results[-1])
    assert await turned_away(limiter)
    own_valkey.start()


async def test_the_probe_of_a_pool_lets_the_others_back(new_limiter: NewLimiter, own_valkey: RunningServer) -> None:
    limiter = new_limiter(own_valkey)
    own_valkey.kill()
    await end_as(limiter, *[_BROKEN] * 20)
    assert await turned_away(limiter)
    limiter.settle(await the_probe(limiter), _BROKEN)
    assert await turned_away(limiter)
    limiter.settle(await the_probe(limiter), GOOD)
    assert not await turned_away(limiter)
    own_valkey.start()


async def the_probe(limiter: Limiter) -> Permit:
    """The next permit of a pool that is down, however long it takes."""
    while True:
        try:
            permit = await admit(limiter, _POOL)
        except MustWait:
            await asyncio.sleep(0.05)
        else:
            assert permit.probe
            return permit
