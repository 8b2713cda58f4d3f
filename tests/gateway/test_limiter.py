"""The limiter on a real Valkey: caps over processes, order, rests, leases of the dead."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from redis.asyncio import Redis

from app.domain.errors import MustWait, SystemFault
from app.domain.park import ParkedLine
from app.gateway.pools import line
from app.gateway.pools.limiter import Limiter
from app.gateway.pools.pool import Permit, Pool
from tests.gateway.admitting import GOOD, admit, leases, wide
from tests.gateway.conftest import NewLimiter, open_redis
from tests.gateway.pool_state import starve, waiting
from tests.supervise.embedded import RunningServer


async def test_no_more_than_the_cap_over_all_processes(new_limiter: NewLimiter) -> None:
    pool, limiters = wide(3), [new_limiter(), new_limiter()]
    permits = [await admit(limiters[n % 2], pool) for n in range(3)]
    for limiter in limiters:
        with pytest.raises(MustWait) as caught:
            await admit(limiter, pool, max_wait_s=0.05)
        assert (caught.value.reason, caught.value.pool) == ("rate_limit", pool.name)
        assert 50 < (caught.value.until - datetime.now(UTC)).total_seconds() < 90
    limiters[0].settle(permits[0], GOOD)
    assert (await admit(limiters[1], pool)).pool is pool


async def test_pools_do_not_share_a_cap(new_limiter: NewLimiter) -> None:
    limiter = new_limiter()
    for name in ("main/mini", "main/big", "odd}name{"):
        await admit(limiter, wide(1, name), max_wait_s=0)


async def test_a_settled_lease_wakes_the_head_at_once(new_limiter: NewLimiter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "_BEAT_S", 60.0)
    limiter, pool = new_limiter(), wide(1)
    permit = await admit(limiter, pool)
    waiting = asyncio.create_task(admit(limiter, pool))
    await asyncio.sleep(0.05)
    limiter.settle(permit, GOOD)
    async with asyncio.timeout(5):
        await waiting


async def test_the_interactive_lane_goes_first_and_each_lane_in_order(new_limiter: NewLimiter) -> None:
    limiter, pool, served = new_limiter(), wide(1), []
    first = await admit(limiter, pool)

    async def caller(lane: str, name: str) -> None:
        permit = await admit(limiter, pool, lane)
        served.append(name)
        limiter.settle(permit, GOOD)

    lanes = [("bulk", "b1"), ("bulk", "b2"), ("standard", "s1"), ("interactive", "i1"), ("interactive", "i2")]
    async with asyncio.TaskGroup() as group:
        for lane, name in lanes:
            group.create_task(caller(lane, name))
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        limiter.settle(first, GOOD)
    assert served == ["i1", "i2", "s1", "b1", "b2"]


async def test_cancellation_frees_the_slot(new_limiter: NewLimiter, redis: Redis, prefix: str) -> None:
    limiter, pool = new_limiter(), wide(1)
    for ticks in range(12):
        task = asyncio.create_task(admit(limiter, pool))
        for _ in range(ticks):
            await asyncio.sleep(0)
        task.cancel()
        result = (await asyncio.gather(task, return_exceptions=True))[0]
        if isinstance(result, Permit):
            limiter.settle(result, GOOD)
    await limiter.close()
    assert await leases(redis, prefix) == 0


async def test_closing_sends_the_waiting_away(new_limiter: NewLimiter) -> None:
    limiter, pool = new_limiter(), wide(1)
    await admit(limiter, pool)
    waiting = asyncio.create_task(admit(limiter, pool, max_wait_s=60))
    await asyncio.sleep(0.05)
    await limiter.close()
    with pytest.raises(SystemFault, match="closed"):
        await waiting


async def test_the_scripts_come_back_after_a_flush(new_limiter: NewLimiter, redis: Redis) -> None:
    limiter, pool = new_limiter(), wide(2)
    limiter.settle(await admit(limiter, pool), GOOD)
    await redis.script_flush()
    limiter.settle(await admit(limiter, pool), GOOD)
    assert not limiter.away


async def test_a_full_pool_is_shared_fairly_by_projects(new_limiter: NewLimiter) -> None:
    pool, limiters = wide(1), [new_limiter() for _ in range(2)]
    served = {"flood": 0, "small": 0}
    until = time.monotonic() + 1.5

    async def caller(n: int, project: str) -> None:
        while time.monotonic() < until:
            permit = await admit(limiters[n], pool, project=project)
            await asyncio.sleep(0.002)
            served[project] += 1
            limiters[n].settle(permit, GOOD)

    # One project has ten times the callers of the other, and the other's only caller sits in another worker.
    await asyncio.gather(*(caller(0, "flood") for _ in range(20)), caller(1, "small"))
    assert served["small"] >= served["flood"] / 3


async def test_tokens_are_what_is_shared_fairly(new_limiter: NewLimiter) -> None:
    limiter, pool, served = new_limiter(), wide(1), []
    first = await admit(limiter, pool)

    async def caller(project: str, tokens: int) -> None:
        permit = await admit(limiter, pool, project=project, tokens=tokens)
        served.append(project)
        limiter.settle(permit, GOOD)

    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(caller("large", 1000))
        for _ in range(8):
            group.create_task(caller("small", 100))
        await asyncio.sleep(0.1)
        limiter.settle(first, GOOD)
    # For one large call ten small ones fit: no second large one goes before the small ones are done.
    assert served.index("large") < 2
    assert served[-3:] == ["large"] * 3


async def test_the_head_of_the_line_is_granted_whoever_asks(new_limiter: NewLimiter) -> None:
    mine, other, pool, served = new_limiter(), new_limiter(), wide(1), list[int]()
    first = await admit(mine, pool)

    async def caller(limiter: Limiter, number: int) -> None:
        permit = await admit(limiter, pool)
        served.append(number)
        limiter.settle(permit, GOOD)

    async with asyncio.TaskGroup() as group:
        for number in range(10):
            group.create_task(caller((mine, other)[number % 2], number))
            await asyncio.sleep(0.05)
        mine.settle(first, GOOD)
    assert served == list(range(10))


async def test_a_call_that_rests_keeps_its_place_and_parks_when_it_is_long(new_limiter: NewLimiter) -> None:
    limiter, pool = new_limiter(), wide(5)
    permit = await admit(limiter, pool, rest_s=0.2)
    assert permit.waited_s >= 0.2
    with pytest.raises(MustWait) as caught:
        await admit(limiter, pool, rest_s=20.0)
    assert 19 < (caught.value.until - datetime.now(UTC)).total_seconds() < 22
    assert caught.value.pool is None, "it rests by itself, whatever room there is"


async def test_a_paced_pool_grants_at_its_rate_over_all_processes(new_limiter: NewLimiter) -> None:
    pool = Pool("main/mini", 100, requests_per_minute=600)
    limiters = [new_limiter() for _ in range(3)]
    started = time.monotonic()

    async def caller(n: int) -> None:
        limiters[n % 3].settle(await admit(limiters[n % 3], pool, max_wait_s=30), GOOD)

    await asyncio.gather(*(caller(n) for n in range(30)))
    took_s = time.monotonic() - started
    # Ten a second after a bucket of half a second.
    assert 2.0 < took_s < 8.0


async def test_an_unknown_pool_starts_slowly(new_limiter: NewLimiter) -> None:
    limiter, pool = new_limiter(), Pool("main/mini", 100)
    started = time.monotonic()
    for _ in range(4):
        limiter.settle(await admit(limiter, pool), GOOD)
    assert time.monotonic() - started > 0.9


async def test_a_wait_that_is_known_to_be_long_parks_at_once(new_limiter: NewLimiter) -> None:
    limiter, pool = new_limiter(), Pool("main/mini", 100, requests_per_minute=1)
    limiter.settle(await admit(limiter, pool), GOOD)
    started = time.monotonic()
    results = await asyncio.gather(*(admit(limiter, pool) for _ in range(5)), return_exceptions=True)
    assert all(isinstance(result, MustWait) for result in results)
    assert time.monotonic() - started < 3.0
    for result in results:
        assert isinstance(result, MustWait)
        assert result.pool == pool.name
        assert 100 < (result.until - datetime.now(UTC)).total_seconds() < 200


async def test_a_call_that_is_made_again_keeps_the_place_that_it_had(new_limiter: NewLimiter) -> None:
    limiter, pool, served = new_limiter(), wide(1), list[str]()
    first = await admit(limiter, pool)

    async def caller(name: str, waited_s: float) -> None:
        permit = await admit(limiter, pool, again=waited_s > 0, waited_s=waited_s)
        served.append(name)
        limiter.settle(permit, GOOD)

    async with asyncio.TaskGroup() as group:
        for name, waited_s in (("anew", 0.0), ("anew too", 0.0), ("third try", 20.0), ("second try", 9.0)):
            group.create_task(caller(name, waited_s))
            await asyncio.sleep(0.02)
        limiter.settle(first, GOOD)
    assert served == ["third try", "second try", "anew", "anew too"]


async def test_a_long_line_sends_nobody_away_who_has_a_place_at_its_head(new_limiter: NewLimiter) -> None:
    limiter, pool = new_limiter(), Pool("main/mini", 100, requests_per_minute=600, at_once=100)
    others = [asyncio.create_task(admit(limiter, pool, max_wait_s=30)) for _ in range(60)]
    await asyncio.sleep(0.2)
    with pytest.raises(MustWait):
        await admit(limiter, pool, max_wait_s=2.0, again=True)
    limiter.settle(await admit(limiter, pool, max_wait_s=2.0, again=True, waited_s=30.0), GOOD)
    for one in others:
        one.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def test_who_stands_in_line_keeps_his_place_when_all_is_told_again(
    new_limiter: NewLimiter, redis: Redis, prefix: str
) -> None:
    limiter, pool, project = new_limiter(), Pool("main/mini", 100, requests_per_minute=1200, at_once=100), UUID(int=1)
    callers = [asyncio.create_task(admit(limiter, pool, project=project.hex)) for _ in range(50)]
    await asyncio.sleep(0.2)
    await limiter.room(pool.name, [ParkedLine("standard", project, 1000, 0)], 5.0)
    # Other limits: the line is told anew, as it is when Redis was away. Who comes now stands behind those parked.
    with pytest.raises(MustWait):
        await admit(limiter, replace(pool, max_in_flight=99), project=project.hex)
    for permit in await asyncio.gather(*callers):
        limiter.settle(permit, GOOD)
    assert await waiting(redis, prefix) == 0


async def test_every_tenth_permit_is_for_the_lanes_that_waited_long(
    new_limiter: NewLimiter, redis: Redis, prefix: str
) -> None:
    """No call waits for long: it is sent away, and its job parks. The lanes do."""
    limiter, pool, project = new_limiter(), Pool("main/mini", 200, requests_per_minute=600, at_once=200), UUID(int=2)
    parked = [ParkedLine("bulk", project, 100, 0)]
    urgent = [asyncio.create_task(admit(limiter, pool, "interactive", 20.0, project=project.hex)) for _ in range(60)]
    await asyncio.sleep(0.2)

    async def a_bulk_call() -> bool:
        try:
            limiter.settle(await admit(limiter, pool, "bulk", max_wait_s=3.0, project=project.hex, again=True), GOOD)
        except MustWait:
            return False
        return True

    assert (await limiter.room(pool.name, parked, 3.0)).free == {"interactive": 0, "standard": 0, "bulk": 0}
    assert not await a_bulk_call()
    await starve(redis, prefix, 31.0)
    room = await limiter.room(pool.name, parked, 3.0)
    assert room.free["interactive"] == 0 and room.free["standard"] == room.free["bulk"] >= 2
    assert await asyncio.gather(a_bulk_call(), a_bulk_call()) == [True, True]
    assert 12 < sum(call.done() for call in urgent) < 60
    for call in urgent:
        call.cancel()
    await asyncio.wait(urgent)


async def test_a_busy_pool_needs_no_polling(new_limiter: NewLimiter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "_BEAT_S", 60.0)
    limiter, pool, in_use, most = new_limiter(), wide(12), 0, 0

    async def caller() -> None:
        nonlocal in_use, most
        for _ in range(5):
            permit = await admit(limiter, pool, max_wait_s=60)
            in_use += 1
            most = max(most, in_use)
            await asyncio.sleep(0.005)
            in_use -= 1
            limiter.settle(permit, GOOD)

    async with asyncio.timeout(20):
        await asyncio.gather(*(caller() for _ in range(80)))
    assert most == 12


async def test_a_provider_that_hangs_leaves_slots_to_its_neighbours(shared_valkey: RunningServer, prefix: str) -> None:
    client, project = open_redis(shared_valkey.url), "0" * 32
    limiter, hangs, good = Limiter(client, prefix=prefix, slots=lambda lane: 8), wide(50, "a/hangs"), wide(50, "b/good")
    limiter.settle(await admit(limiter, good, job="first", project=project), GOOD)
    held = [await admit(limiter, hangs, job=f"job{n}", project=project) for n in range(6)]
    with pytest.raises(MustWait) as caught:
        await admit(limiter, hangs, job="one more", project=project)
    assert (caught.value.reason, caught.value.pool) == ("rate_limit", hangs.name)
    assert await admit(limiter, hangs, job="job0", project=project), "it has its slot already"
    assert (await limiter.room(hangs.name, [], 10.0)).free["standard"] == 0
    limiter.settle(await admit(limiter, good, job="g", project=project), GOOD)
    limiter.settle(held[3], GOOD)
    assert await admit(limiter, hangs, job="one more", project=project)
    await limiter.close()
    await client.aclose()
