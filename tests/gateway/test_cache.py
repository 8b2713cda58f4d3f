"""The exact cache on a real Valkey: of all who ask one makes it; tags, time, size, and parts that are away."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import uuid4

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from app.domain.clock import SYSTEM_CLOCK
from app.domain.errors import MustWait, TransientError
from app.gateway.caches.cache import Entry, ExactCache, Key
from app.gateway.calls.keeping import Keeping
from app.gateway.redis.reach import RedisAway
from app.settings import CacheSettings
from tests.gateway.conftest import open_redis
from tests.supervise.embedded import RunningServer

NewCache = Callable[..., ExactCache]
DAY = Keeping(86400.0)
PROJECT = uuid4()


@pytest_asyncio.fixture
async def new_cache(shared_valkey: RunningServer, prefix: str) -> AsyncIterator[NewCache]:
    """Makes caches as separate processes have them, all on the same keys."""
    async with AsyncExitStack() as stack:
        redis: list[Redis] = [await stack.enter_async_context(open_redis(shared_valkey.url)) for _ in range(4)]

        def new(secret: str = "s", place: int = 0, **settings: float) -> ExactCache:
            made = ExactCache(redis[place], CacheSettings(**settings), secret, SYSTEM_CLOCK, f"{prefix}{{cache}}:")
            stack.push_async_callback(made.close)
            return made

        yield new


def key(text: str = "") -> Key:
    return Key(PROJECT, (text or uuid4().hex).encode().ljust(32))


class Kitchen:
    """Makes answers, and counts them."""

    def __init__(self, takes_s: float = 0.05) -> None:
        self.made = 0
        self.began = asyncio.Event()
        self._takes_s = takes_s

    async def ask(self, cache: ExactCache, wanted: Key, keeping: Keeping = DAY, wait_s: float = 20) -> Entry:
        async with cache.enter(wanted, keeping, wait_s) as place:
            if place.entry is not None:
                return place.entry
            self.made += 1
            self.began.set()
            await asyncio.sleep(self._takes_s)
            await place.keep(b"answer")
            return Entry(b"answer")


async def test_a_hundred_at_once_in_four_processes_cost_one(new_cache: NewCache) -> None:
    kitchen, wanted = Kitchen(0.3), key()
    caches = [new_cache(place=place) for place in range(4)]
    found = await asyncio.gather(*(kitchen.ask(caches[n % 4], wanted) for n in range(100)))
    assert kitchen.made == 1
    assert {entry.body for entry in found} == {b"answer"}


async def test_a_kept_answer_is_known_with_its_age_and_its_time(new_cache: NewCache) -> None:
    cache, wanted = new_cache(), key()
    await Kitchen().ask(cache, wanted)
    (entry,) = await cache.look([wanted])
    assert entry is not None and entry.body == b"answer" and not entry.just_made
    assert 0 <= entry.age_s < 60 and 86000 < entry.left_s <= 86400


async def test_past_its_time_an_entry_is_stale_and_then_gone(new_cache: NewCache) -> None:
    cache, wanted, kitchen = new_cache(stale_s=0.4), key(), Kitchen(0)
    await kitchen.ask(cache, wanted, Keeping(0.1))
    await asyncio.sleep(0.15)
    assert await cache.look([wanted]) == [None]
    (entry,) = await cache.look([wanted], stale=True)
    assert entry is not None and entry.left_s <= 0
    await asyncio.sleep(0.5)
    assert await cache.look([wanted], stale=True) == [None]
    await kitchen.ask(cache, wanted)
    assert kitchen.made == 2


async def test_a_tag_drops_what_was_kept_under_it_and_nothing_else(new_cache: NewCache) -> None:
    cache, kitchen = new_cache(), Kitchen(0)
    reviews, both, plain = key(), key(), key()
    await kitchen.ask(cache, reviews, Keeping(60, ("reviews",)))
    await kitchen.ask(cache, both, Keeping(60, ("reviews", "other")))
    await kitchen.ask(cache, plain, Keeping(60, ("other",)))
    await cache.invalidate(uuid4(), ["reviews"])
    assert None not in await cache.look([reviews, both, plain])
    await cache.invalidate(PROJECT, ["reviews"])
    assert [entry is None for entry in await cache.look([reviews, both, plain], stale=True)] == [True, True, False]
    await kitchen.ask(cache, reviews, Keeping(60, ("reviews",)))
    assert None not in await cache.look([reviews])


async def test_what_is_being_made_when_its_tag_is_dropped_is_not_kept(new_cache: NewCache) -> None:
    cache, wanted, tagged = new_cache(), key(), Keeping(60, ("t",))
    async with cache.enter(wanted, tagged, 1) as place:
        assert place.entry is None
        await cache.invalidate(PROJECT, ["t"])
        async with new_cache(place=1).enter(key(), tagged, 1) as other:
            await other.keep(b"new")
        await place.keep(b"old")
    assert await cache.look([wanted]) == [None]


async def test_who_asks_after_a_tag_was_dropped_is_given_nothing_begun_before(new_cache: NewCache) -> None:
    cache, wanted, tagged, kitchen = new_cache(), key(), Keeping(60, ("t",)), Kitchen(0)
    async with cache.enter(wanted, tagged, 5) as place:
        await cache.invalidate(PROJECT, ["t"])
        later = asyncio.create_task(kitchen.ask(cache, wanted, tagged))
        await asyncio.sleep(0.01)
        await place.keep(b"old")
    assert (await later).body == b"answer" and kitchen.made == 1


async def test_what_nobody_can_read_is_made_anew_by_one_of_all(new_cache: NewCache, redis: Redis, prefix: str) -> None:
    kitchen, wanted, other = Kitchen(0.3), key(), key()
    caches = [new_cache(place=place) for place in range(4)]
    for one in (wanted, other):
        await kitchen.ask(caches[0], one)
    bodies = f"{prefix}{{cache}}:bodies"
    for name in await redis.hkeys(bodies):
        await redis.hset(bodies, name, b"not sealed here")
    await asyncio.gather(*(kitchen.ask(caches[n % 4], wanted) for n in range(100)))
    assert kitchen.made == 3
    assert [entry is not None for entry in await caches[1].look([wanted, other])] == [True, False]


async def test_the_memory_is_bounded_and_what_was_unused_for_longest_goes(new_cache: NewCache, redis: Redis) -> None:
    cache, kitchen = new_cache(max_bytes=20_000), Kitchen(0)
    keys = [key() for _ in range(60)]
    for wanted in keys:
        await kitchen.ask(cache, wanted)
        await cache.look(keys[:1])
    left = [entry is not None for entry in await cache.look(keys)]
    assert left[0] and left[-1] and not left[1]
    assert sum(left) <= 20_000 // 700
    names = [name async for name in redis.scan_iter(match="test*{cache}:*")]
    used = [await redis.memory_usage(name, samples=0) or 0 for name in names]
    assert sum(used) < 40_000


async def test_a_large_answer_is_shared_and_not_kept(new_cache: NewCache) -> None:
    cache, wanted = new_cache(max_entry_bytes=1000), key()
    async with cache.enter(wanted, DAY, 1) as place:
        waiting = asyncio.create_task(Kitchen().ask(cache, wanted))
        await asyncio.sleep(0)
        await place.keep(b"x" * 1001)
    assert (await waiting).just_made
    assert await cache.look([wanted]) == [None]


async def test_redis_holds_neither_the_answer_nor_the_tag(new_cache: NewCache, redis: Redis) -> None:
    cache, wanted = new_cache(), key("canary-question")
    async with cache.enter(wanted, Keeping(60, ("canary-tag",)), 1) as place:
        await place.keep(b"canary-answer")
    seen = []
    async for name in redis.scan_iter():
        seen.append(name + (await redis.dump(name) or b""))
    assert b"canary" not in b"".join(seen)
    assert await new_cache("another secret").look([wanted]) == [None]


async def test_a_leader_that_stops_living_is_followed_by_another(new_cache: NewCache) -> None:
    dead, living, wanted, kitchen = new_cache(), new_cache(place=1), key(), Kitchen(0)
    place = dead.enter(wanted, DAY, 1)
    await place.__aenter__()
    await dead.close()
    began = asyncio.get_running_loop().time()
    found = await kitchen.ask(living, wanted)
    assert kitchen.made == 1 and found.body == b"answer"
    assert asyncio.get_running_loop().time() - began > 1
    await place.__aexit__(None, None, None)
    assert None not in await living.look([wanted])


async def test_a_leader_that_lives_is_waited_for_longer_than_his_lease(new_cache: NewCache) -> None:
    kitchen, wanted = Kitchen(4), key()
    caches = [new_cache(), new_cache(place=1)]
    await asyncio.gather(*(kitchen.ask(cache, wanted) for cache in caches))
    assert kitchen.made == 1


async def test_who_has_waited_for_his_time_asks_for_himself(new_cache: NewCache) -> None:
    kitchen, wanted = Kitchen(0), key()
    async with new_cache().enter(wanted, DAY, 1) as place:
        await kitchen.ask(new_cache(place=1), wanted, wait_s=0.1)
        assert kitchen.made == 1
        await place.keep(b"answer")


async def test_a_canceled_leader_leaves_the_place_to_one_of_the_others(new_cache: NewCache) -> None:
    cache, wanted, slow, kitchen = new_cache(), key(), Kitchen(60), Kitchen(0.05)
    leader = asyncio.create_task(slow.ask(cache, wanted))
    await slow.began.wait()
    others = [asyncio.create_task(kitchen.ask(cache, wanted)) for _ in range(10)]
    await asyncio.sleep(0.05)
    leader.cancel()
    await asyncio.gather(*others)
    assert kitchen.made == 1


@pytest.mark.parametrize("error", [TransientError("away"), MustWait("rate_limit", SYSTEM_CLOCK.now())])
async def test_what_all_would_meet_is_met_once(new_cache: NewCache, error: Exception) -> None:
    cache, wanted, made = new_cache(), key(), 0

    async def ask() -> None:
        nonlocal made
        async with cache.enter(wanted, DAY, 5):
            made += 1
            await asyncio.sleep(0.05)
            raise error

    found = await asyncio.gather(*(ask() for _ in range(20)), return_exceptions=True)
    assert made == 1
    assert {type(one) for one in found} == {type(error)}
    assert len({id(one) for one in found}) == 20


async def test_what_is_the_askers_alone_befalls_nobody_else(new_cache: NewCache) -> None:
    cache, wanted, kitchen = new_cache(), key(), Kitchen(0.02)

    async def fails() -> None:
        async with cache.enter(wanted, DAY, 5):
            await asyncio.sleep(0.05)
            raise MustWait("budget", SYSTEM_CLOCK.now())

    first = asyncio.create_task(fails())
    await asyncio.sleep(0.01)
    await asyncio.gather(*(kitchen.ask(cache, wanted) for _ in range(5)))
    assert kitchen.made == 1
    assert isinstance((await asyncio.gather(first, return_exceptions=True))[0], MustWait)


@asynccontextmanager
async def on_its_own(server: RunningServer) -> AsyncIterator[ExactCache]:
    async with open_redis(server.url) as client:
        cache = ExactCache(client, CacheSettings(), "s", SYSTEM_CLOCK)
        yield cache
        await cache.close()


@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_without_redis_the_work_goes_on_and_comes_back(own_valkey: RunningServer, how: str) -> None:
    kitchen, wanted = Kitchen(0.05), key()
    async with on_its_own(own_valkey) as cache:
        await kitchen.ask(cache, wanted)
        own_valkey.kill() if how == "killed" else os.kill(own_valkey.pid, signal.SIGSTOP)
        assert await cache.look([wanted]) == [None]
        await asyncio.gather(*(kitchen.ask(cache, key("same"), wait_s=5) for _ in range(10)))
        assert kitchen.made == 2, "without Redis those of one process still ask once"
        with pytest.raises(RedisAway):
            await cache.invalidate(PROJECT, ["t"])
        own_valkey.start() if how == "killed" else os.kill(own_valkey.pid, signal.SIGCONT)
        while await cache.look([wanted]) == [None]:
            await kitchen.ask(cache, wanted)
            await asyncio.sleep(0.1)


async def test_a_flush_in_the_middle_costs_no_more_than_a_second_call(own_valkey: RunningServer) -> None:
    kitchen, wanted, tagged = Kitchen(0.3), key(), Keeping(60, ("t",))
    async with on_its_own(own_valkey) as cache, on_its_own(own_valkey) as other, open_redis(own_valkey.url) as client:
        asking = [asyncio.create_task(kitchen.ask(one, wanted, tagged)) for one in (cache, other) for _ in range(10)]
        await asyncio.sleep(0.1)
        await client.flushall()
        found = await asyncio.gather(*asking)
        assert {entry.body for entry in found} == {b"answer"}
        assert 1 <= kitchen.made <= 2
        await kitchen.ask(cache, wanted, tagged)
        assert None not in await cache.look([wanted])
