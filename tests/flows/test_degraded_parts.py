"""Each part that Laneway leans on is taken away: what is accepted, what waits, what is said, which alert fires."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import redis

from tests.flows.degraded import House, house
from tests.ops.alarms import fires, once_each, resolves, standing, told
from tests.ops.scraping import scrape
from tests.routers.support import problem
from tests.stack import until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def whole() -> Iterator[House]:
    limits = {"LANEWAY_ALERTS__DEAD_LETTERS": "2", "LANEWAY_ALERTS__WINDOW_S": "4"}
    with house(LANEWAY_METRICS_OPEN="true", **limits) as made:
        yield made


@pytest.fixture(autouse=True)
def _made_good(whole: House) -> Iterator[None]:
    whole.whole()
    yield


def test_the_provider(whole: House) -> None:
    """Accepted; what needs no model goes on, what needs one is tried again, then is a dead letter."""
    whole.stack.provider.set_faults(down="refuse")
    jobs = [whole.stack.submit("asks", {"text": f"{n}"}) for n in range(2)]
    assert whole.stack.submit("noop", {"n": 1}, wait=20)["status"] == "succeeded"
    assert whole.ready() == (200, "ok")
    assert whole.status()["parts"] == {"database": "ok", "redis": "ok"}
    until(lambda: whole.lane("standard")["reasons"].get("retry"))
    for job in jobs:
        ended = whole.stack.ended(job["id"], 60)
        assert (ended["error"]["class"], ended["disposition"]) == ("transient", "dead_letter")
    fires(whole.stack, "dead_letters:jobs")
    whole.stack.provider.reset_faults()
    again = whole.stack.client.post(f"/v1/jobs/{jobs[0]['id']}/retry")
    assert again.status_code == 202
    assert whole.stack.ended(jobs[0]["id"])["status"] == "succeeded"
    resolves(whole.stack, "dead_letters:jobs")
    once_each("dead_letters:jobs", whole.stack, whole.second)


def test_redis(whole: House) -> None:
    """Accepted and run all the same; nothing waits for it."""
    whole.stack.servers.valkey.kill()
    try:
        assert whole.ready() == (200, "degraded")
        assert whole.status()["parts"] == {"database": "ok", "redis": "away"}
        began = time.monotonic()
        assert whole.stack.submit("noop", {"n": 1}, wait=20)["status"] == "succeeded"
        assert time.monotonic() - began < 5
        alert = fires(whole.stack, "part_away:redis")
        assert alert["detail"].startswith("redis cannot be reached: ")
    finally:
        whole.stack.servers.valkey.start()
    until(lambda: whole.ready() == (200, "ok"))
    resolves(whole.stack, "part_away:redis")
    once_each("part_away:redis", whole.stack, whole.second)


@pytest.mark.parametrize(
    ("spoil", "mend", "cause"),
    [
        ("config set maxmemory 1", "config set maxmemory 0", "OutOfMemoryError"),
        ("replicaof 127.0.0.1 1", "replicaof no one", "ReadOnlyError"),
    ],
    ids=["full", "read-only"],
)
def test_redis_that_takes_no_writes(whole: House, spoil: str, mend: str, cause: str) -> None:
    """It answers, and is of no use: that is said, and why."""
    client = redis.Redis.from_url(whole.stack.servers.redis_url)
    client.execute_command(*spoil.split())
    try:
        assert whole.ready() == (200, "degraded")
        assert whole.stack.submit("noop", {"n": 1}, wait=20)["status"] == "succeeded"
        assert cause in fires(whole.stack, "part_away:redis")["detail"]
    finally:
        client.execute_command(*mend.split())
        client.close()
    resolves(whole.stack, "part_away:redis")


def test_postgres(whole: House) -> None:
    """Nothing is accepted that is not stored; all that was goes on when it is back, and so does every process."""
    job = whole.stack.submit("marks", {"journal": whole.stack.journal, "name": "p", "steps": 3, "step_s": 1.0})
    until(lambda: whole.stack.job(job["id"])["status"] == "running")
    before = told(whole.stack, whole.second)
    whole.stack.servers.postgres.kill()
    try:
        assert whole.ready() == (503, "away")
        answer = whole.stack.post("noop", {"n": 1}, key="while-away")
        assert problem(answer, "reduced_capacity")["retry_after_s"] >= 1
        problem(whole.stack.client.get("/v1/status"), "reduced_capacity")
        key = ("alert.fired", "part_away:database")
        until(lambda: (told(whole.stack, whole.second) - before)[key] == 4)
        assert scrape(whole.stack.client).by("laneway_alerts", "kind")["part_away",] == 1
    finally:
        whole.stack.servers.postgres.start()
    until(lambda: whole.ready() == (200, "ok"))
    assert whole.stack.post("noop", {"n": 1}, key="while-away", wait=20).json()["status"] == "succeeded"
    assert whole.stack.ended(job["id"])["output"] == {"n": 3}
    until(lambda: told(whole.stack, whole.second)["alert.resolved", "part_away:database"] == 1)
    assert "part_away:database" not in standing(whole.stack)
    rows = whole.stack.sql("select resolved_at > fired_at as good from alerts where key = 'part_away:database'")
    assert rows == [{"good": True}]
    assert all(one.process.poll() is None for one in (*whole.stack.processes, *whole.second.processes))


def test_a_receiver_of_webhooks(whole: House) -> None:
    """Its jobs end; its webhooks are tried by the schedule, then they are dead, which is visible; others' arrive."""
    down = whole.stack.hooks.answer("/down", {"status": 500})
    well = whole.stack.hooks.answer("/well")
    jobs = [whole.stack.submit("noop", {"n": n}, webhook={"url": down}, wait=20) for n in range(2)]
    other = whole.stack.submit("noop", {"n": 1}, webhook={"url": well}, wait=20)
    assert {job["status"] for job in (*jobs, other)} == {"succeeded"}
    assert whole.ready() == (200, "ok")
    until(lambda: whole.stack.job(other["id"])["webhook_delivery"] == "succeeded")
    until(lambda: {whole.stack.job(job["id"])["webhook_delivery"] for job in jobs} == {"dead"})
    assert fires(whole.stack, "dead_letters:webhooks")["detail"] == "2 webhooks within 4 s"
    resolves(whole.stack, "dead_letters:webhooks")
    assert scrape(whole.stack.client).total("laneway_alerts") == 0
