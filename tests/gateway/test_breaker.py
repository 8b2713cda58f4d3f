"""Breakers of named dependencies on a real Valkey: one probe for all workers, tenants apart, and Redis away."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from uuid import UUID

import pytest
from redis.asyncio import Redis

from app.domain.clock import SYSTEM_CLOCK
from app.domain.errors import MustWait
from app.domain.park import ParkedLine
from app.gateway.breakers.breaker import Breakers
from app.gateway.breakers.dependency import Dependency, Pass, parked_for
from app.gateway.pools.ending import Ending
from app.gateway.redis.reach import RedisAway
from app.store.levers import Lever
from tests.gateway.conftest import open_redis
from tests.supervise.embedded import RunningServer

ONE, TWO = UUID(int=1), UUID(int=2)
CRM = Dependency(ONE, False, "crm")
OTHERS = [Dependency(TWO, False, "crm"), Dependency(ONE, True, "crm"), Dependency(ONE, False, "x")]


async def fail(breakers: Breakers, times: int, ending: Ending = Ending.FAILED) -> bool:
    """So many calls fail; whether it is open then."""
    is_open = False
    for _ in range(times):
        is_open = await breakers.tell(CRM, await breakers.ask(CRM), ending)
    return is_open


async def probe(breakers: Breakers) -> Pass:
    """The next probe, however long it takes."""
    while True:
        try:
            return await breakers.ask(CRM)
        except MustWait:
            await asyncio.sleep(0.05)


async def test_twenty_failures_of_any_worker_open_it_for_all(shared_valkey: RunningServer, prefix: str) -> None:
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(open_redis(shared_valkey.url)) for _ in range(2)]
        one, two = (Breakers(client, prefix=prefix) for client in clients)
        assert not await fail(one, 10)
        assert not await fail(two, 9)
        assert await fail(one, 1)
        assert (await two.look(CRM)).state == "open"
        with pytest.raises(MustWait) as caught:
            await two.ask(CRM)
        assert caught.value.reason == "provider_down"


async def test_ten_refused_connections_in_a_row_open_it(redis: Redis, prefix: str) -> None:
    breakers = Breakers(redis, prefix=prefix)
    assert not await fail(breakers, 9, Ending.REFUSED)
    assert not await fail(breakers, 1, Ending.OTHER)
    assert not await fail(breakers, 9, Ending.REFUSED)
    assert await fail(breakers, 1, Ending.REFUSED)


async def test_other_projects_modes_and_names_know_nothing_of_it(redis: Redis, prefix: str) -> None:
    breakers = Breakers(redis, prefix=prefix)
    assert await fail(breakers, 20)
    for other in OTHERS:
        assert not (await breakers.ask(other)).probe
        assert (await breakers.look(other)).state == "closed"


async def test_of_many_who_ask_one_is_the_probe(redis: Redis, prefix: str) -> None:
    workers = [Breakers(redis, prefix=prefix) for _ in range(4)]
    await fail(workers[0], 20)
    await asyncio.sleep(1.05)
    began = SYSTEM_CLOCK.monotonic()
    passes = await asyncio.gather(*(workers[n % 4].ask(CRM) for n in range(40)), return_exceptions=True)
    probes = [one.probe for one in passes if isinstance(one, Pass)]
    assert all(probes)
    assert 1 <= len(probes) <= 1 + int(SYSTEM_CLOCK.monotonic() - began)


async def test_a_probe_that_succeeds_lets_a_part_of_them_back(redis: Redis, prefix: str) -> None:
    breakers = Breakers(redis, prefix=prefix)
    await fail(breakers, 20)
    assert not await breakers.tell(CRM, await probe(breakers), Ending.OK)
    assert (await breakers.look(CRM)).state == "half_open"
    passes = await asyncio.gather(*(breakers.ask(CRM) for _ in range(200)), return_exceptions=True)
    # A quarter of them is expected: 50, with a spread of 6.
    assert 15 < sum(isinstance(one, Pass) for one in passes) < 95


async def test_those_who_are_held_do_not_come_back_at_once(redis: Redis, prefix: str) -> None:
    breakers = Breakers(redis, prefix=prefix)
    await fail(breakers, 20)
    waits = await asyncio.gather(*(breakers.ask(CRM) for _ in range(150)), return_exceptions=True)
    untils = [wait.until for wait in waits if isinstance(wait, MustWait)]
    assert (max(untils) - min(untils)).total_seconds() > 4


async def test_a_crowd_comes_back_less_often_the_longer_it_is_held(redis: Redis, prefix: str) -> None:
    """They are woken as it closes; a probe between is no reason to come at once. After it closed all begins anew."""
    breakers = Breakers(redis, prefix=prefix)
    await breakers.force(CRM, "open")

    async def wait_s() -> float:
        with pytest.raises(MustWait) as held:
            await breakers.ask(CRM)
        return (held.value.until - SYSTEM_CLOCK.now()).total_seconds()

    first = await wait_s()
    await asyncio.gather(*(breakers.ask(CRM) for _ in range(2000)), return_exceptions=True)
    assert await wait_s() > first + 90
    await breakers.force(CRM, "closed")
    await breakers.ask(CRM)
    await breakers.force(CRM, "open")
    assert await wait_s() < first + 1


async def test_by_hand(redis: Redis, prefix: str) -> None:
    breakers = Breakers(redis, prefix=prefix)
    await breakers.force(CRM, "open")
    with pytest.raises(MustWait):
        await breakers.ask(CRM)
    assert await redis.pttl(f"{prefix}{CRM.key}") == -1
    await breakers.force(CRM, "closed")
    assert not await fail(breakers, 50)
    await breakers.force(CRM, "auto")
    assert ((await breakers.look(CRM)).state, await breakers.ask(CRM) is not None) == ("closed", True)


async def test_those_of_a_project_and_mode_are_shown(redis: Redis, prefix: str) -> None:
    breakers, began = Breakers(redis, prefix=prefix), SYSTEM_CLOCK.now()
    assert await breakers.all(ONE, False) == []
    other = Dependency(ONE, False, "bank: a/b")
    await breakers.tell(other, await breakers.ask(other), Ending.OK)
    await fail(breakers, 20)
    bank, crm = await breakers.all(ONE, False)
    assert (bank.name, bank.state, bank.since, bank.next_probe_at, bank.forced) == (
        "bank: a/b", "closed", None, None, False,
    )  # fmt: skip
    assert (crm.name, crm.state, crm.forced) == ("crm", "open", False)
    assert crm.since is not None and crm.next_probe_at is not None
    assert began - timedelta(seconds=1) < crm.since < crm.next_probe_at
    await breakers.force(CRM, "closed")
    forced = await breakers.look(CRM)
    assert (forced.state, forced.next_probe_at, forced.forced) == ("closed", None, True)
    assert forced.since is not None and forced.since >= crm.since
    assert await breakers.all(TWO, False) == await breakers.all(ONE, True) == []


async def coming(breakers: Breakers, parked: int) -> int:
    """How many of so many that are parked for it may come."""
    room = await breakers.room(CRM.park, [ParkedLine("standard", ONE, parked, 0)])
    assert len(set(room.free.values())) == 1
    return room.free["standard"]


async def test_who_is_parked_comes_for_the_probe_and_as_it_closes(redis: Redis, prefix: str) -> None:
    breakers = Breakers(redis, prefix=prefix)
    assert parked_for(CRM.park) == CRM
    await breakers.force(CRM, "open")
    assert await coming(breakers, 1000) == 0
    await breakers.force(CRM, "auto")
    assert await coming(breakers, 1000) == 1
    await breakers.tell(CRM, await probe(breakers), Ending.FAILED)
    # By now the next probe may be near again.
    assert await coming(breakers, 1000) in (0, 1)
    await breakers.tell(CRM, await probe(breakers), Ending.OK)
    assert await coming(breakers, 1000) == 250
    await breakers.force(CRM, "closed")
    assert await coming(breakers, 1000) == 1000


async def test_redis_emptied_in_mid_run_is_found_out_anew_by_twenty(redis: Redis, prefix: str) -> None:
    breakers = Breakers(redis, prefix=prefix)
    await fail(breakers, 20)
    late = await probe(breakers)
    for key in [key async for key in redis.scan_iter(match=f"{prefix}*")]:
        await redis.delete(key)
    await redis.script_flush()
    assert (await breakers.look(CRM)).state == "closed"
    # The probe that was on its way tells nothing of what is now.
    assert not await breakers.tell(CRM, late, Ending.FAILED)
    assert not await fail(breakers, 19)
    assert await fail(breakers, 1)


async def test_without_redis_each_process_goes_on_from_what_it_heard(own_valkey: RunningServer, prefix: str) -> None:
    async with open_redis(own_valkey.url) as client:
        breakers = Breakers(client, prefix=prefix)
        assert await fail(breakers, 20)
        own_valkey.stop()
        given = await probe(breakers)
        assert (given.probe, given.sent) == (True, None)
        with pytest.raises(MustWait):
            await breakers.ask(CRM)
        assert not await breakers.tell(CRM, given, Ending.OK)
        assert await coming(breakers, 1000) == 1000
        assert not await fail(breakers, 19)
        assert await fail(breakers, 1)
        assert await coming(breakers, 1000) in (0, 1)
        with pytest.raises(RedisAway):
            await breakers.force(CRM, "closed")
        await breakers.close()


async def test_without_redis_what_was_forced_stays_so(own_valkey: RunningServer, prefix: str) -> None:
    async with open_redis(own_valkey.url) as client:
        breakers, rouse, other = (Breakers(client, prefix=prefix) for _ in range(3))
        await other.force(CRM, "open")
        with pytest.raises(MustWait):
            await breakers.ask(CRM)
        # Who looks for those who are parked hears of it too.
        assert await coming(rouse, 1000) == 0
        closed = OTHERS[0]
        await other.force(closed, "closed")
        given = await breakers.ask(closed)
        own_valkey.stop()
        for one in (breakers, rouse):
            for _ in range(2):
                with pytest.raises(MustWait):
                    await one.ask(CRM)
            assert await coming(one, 1000) == 0
        for _ in range(30):
            assert not await breakers.tell(closed, given, Ending.REFUSED)
            given = await breakers.ask(closed)
        own_valkey.start()
        await other.force(CRM, "auto")
        assert await coming(breakers, 1000) in (0, 1)
        await asyncio.gather(*(one.close() for one in (breakers, rouse, other)))


async def test_without_redis_what_was_forced_unheard_stays_so_too(own_valkey: RunningServer, prefix: str) -> None:
    async def standing(park: str) -> list[Lever]:
        return [Lever("breaker", "open")] if park == CRM.park else []

    async with open_redis(own_valkey.url) as client:
        own_valkey.stop()
        breakers = Breakers(client, prefix=prefix, standing=standing)
        with pytest.raises(MustWait):
            await breakers.ask(CRM)
        assert not (await breakers.ask(OTHERS[0])).probe
        await breakers.close()


async def test_without_redis_ten_refused_connections_open_it(own_valkey: RunningServer, prefix: str) -> None:
    async with open_redis(own_valkey.url) as client:
        own_valkey.stop()
        breakers = Breakers(client, prefix=prefix)
        assert not await fail(breakers, 9, Ending.REFUSED)
        assert not await fail(breakers, 1, Ending.OTHER)
        assert not await fail(breakers, 9, Ending.REFUSED)
        assert await fail(breakers, 1, Ending.REFUSED)
        await breakers.close()
