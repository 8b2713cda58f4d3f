"""Processes are taken away, one and all: what is accepted, what waits, what is said, which alert fires."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from app.domain import ids
from tests.flows.degraded import House, house
from tests.ops.alarms import fires, once_each, resolves, standing, told
from tests.stack import until

pytestmark = pytest.mark.slow

ALL = "interactive,standard,bulk,delivery"
_ENDED = "select ended_at is not null as ended from jobs where id = $1"


@pytest.fixture(scope="module")
def whole() -> Iterator[House]:
    with house() as made:
        yield made


@pytest.fixture(autouse=True)
def _made_good(whole: House) -> Iterator[None]:
    whole.whole()
    yield


def test_one_worker(whole: House) -> None:
    """Its jobs go on with the other after a lease; nobody is called."""
    given = {"journal": whole.stack.journal, "steps": 4, "step_s": 0.7}
    jobs = [whole.stack.submit("marks", {**given, "name": f"w{n}"}) for n in range(4)]
    until(lambda: whole.lane("standard")["running"] == 4)
    before = told(whole.stack, whole.second)
    whole.end_worker(0)
    assert whole.ready() == (200, "ok")
    until(lambda: whole.processes() == {"serve": 2, "work": 1})
    assert len(whole.status()["workers"]) == 1
    for job in jobs:
        assert whole.stack.ended(job["id"])["output"] == {"n": 4}
    assert standing(whole.stack) == {} and told(whole.stack, whole.second) == before
    whole.new_worker(0)


def test_all_workers(whole: House) -> None:
    """Accepted; everything waits, and is done once there is one again."""
    for n in range(2):
        whole.end_worker(n)
    hooked = whole.stack.hooks.answer("/later")
    job = whole.stack.submit("noop", {"n": 1}, wait=0.2, webhook={"url": hooked})
    assert (job["status"], whole.ready()) == ("queued", (200, "ok"))
    assert fires(whole.stack, "part_away:work")["detail"] == "no worker process lives"
    assert (whole.processes()["work"], whole.lane("standard")["due"], whole.lane("standard")["workers"]) == (0, 1, 0)
    # One alert tells of all lanes; before their leases ran out, these workers had free slots and claimed nothing.
    until(lambda: set(standing(whole.stack)) == {"part_away:work"})
    for n in range(2):
        whole.new_worker(n)
    assert whole.stack.ended(job["id"])["status"] == "succeeded"
    until(lambda: whole.stack.job(job["id"])["webhook_delivery"] == "succeeded")
    resolves(whole.stack, "part_away:work")
    once_each("part_away:work", whole.stack, whole.second)


def test_all_workers_of_a_lane(whole: House) -> None:
    """The other lanes go on."""
    whole.serve_only("standard,delivery")
    bulk = whole.stack.submit("noop", {"n": 1}, lane="bulk")
    assert whole.stack.submit("noop", {"n": 1}, wait=20)["status"] == "succeeded"
    assert fires(whole.stack, "part_away:lane:bulk")["detail"] == "jobs are due in bulk, which no worker serves"
    assert set(standing(whole.stack)) == {"part_away:lane:bulk"}
    whole.serve_only(ALL)
    assert whole.stack.ended(bulk["id"])["status"] == "succeeded"
    resolves(whole.stack, "part_away:lane:bulk")
    once_each("part_away:lane:bulk", whole.stack, whole.second)


def test_all_workers_that_deliver(whole: House) -> None:
    """Jobs end, their webhooks wait in the outbox."""
    whole.serve_only("interactive,standard,bulk")
    url = whole.stack.hooks.answer("/waits")
    job = whole.stack.submit("noop", {"n": 1}, wait=20, webhook={"url": url})
    assert (job["status"], job["webhook_delivery"]) == ("succeeded", "pending")
    alert = fires(whole.stack, "part_away:lane:delivery")
    assert alert["detail"] == "webhooks wait in delivery, which no worker serves"
    whole.serve_only(ALL)
    until(lambda: whole.stack.job(job["id"])["webhook_delivery"] == "succeeded")
    resolves(whole.stack, "part_away:lane:delivery")


def test_one_api_of_two(whole: House) -> None:
    """The other answers; what was sent to the dead one is sent again under its key."""
    key = "to-both"
    job = whole.second.post("noop", {"n": 1}, key=key).json()
    whole.apis[1].kill()
    with pytest.raises(httpx.TransportError):
        whole.second.post("noop", {"n": 1}, key=key)
    assert whole.stack.post("noop", {"n": 1}, key=key).json()["id"] == job["id"]
    assert whole.ready() == (200, "ok")
    until(lambda: whole.processes() == {"serve": 1, "work": 2})
    assert standing(whole.stack) == {}
    whole.apis[1] = whole.second.start_api()


def test_all_apis(whole: House) -> None:
    """Nothing is answered; what was accepted is done, and the workers say what is wrong."""
    job = whole.stack.submit("noop", {"n": 1})
    for api in whole.apis:
        api.kill()
    until(lambda: whole.stack.sql(_ENDED, ids.read("job", job["id"]))[0]["ended"])
    until(lambda: told(whole.stack, whole.second)["alert.fired", "part_away:serve"] == 1)
    whole.new_apis()
    resolves(whole.stack, "part_away:serve")
