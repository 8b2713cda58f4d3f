"""Replays of five hundred: an API killed in their middle, two at once, a queue that is full."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.dead_letters.conftest import WORKFLOWS
from tests.dead_letters.yard import LETTERS, Yard
from tests.stack import KEY, Process, Stack, bearer, running_stack, until
from tests.supervise.embedded import open_folder

pytestmark = pytest.mark.slow

MANY = 500
CAP = 200
_RETRIED = """
select j.id, count(e.*) as n from jobs j left join events e on e.job_id = j.id and e.type = 'job.retried'
where j.tags ? $1 group by j.id
"""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with open_folder() as made:
        yield made


@pytest.fixture(scope="module")
def servers(folder: Path) -> Iterator[Stack]:
    """Servers alone; each test starts its processes."""
    with running_stack(folder, LANEWAY_WORKFLOWS=WORKFLOWS, LANEWAY_QUEUE__PORTION="100") as made:
        yield made


@pytest.fixture
def yard(servers: Stack) -> Iterator[Yard]:
    """Five hundred dead letters, and nobody who works."""
    worker, api = servers.start_worker(), servers.start_api()
    made = Yard(servers)
    with ThreadPoolExecutor(8) as clients:
        list(clients.map(lambda n: submitted(made, str(n)), range(MANY)))
    made.settled("failed", MANY)
    made.mend()
    worker.stop()
    api.stop()
    yield made
    end(servers)


def submitted(yard: Yard, name: str) -> None:
    """One that will fail."""
    given = {"name": name, "mended": str(yard.mended), "journal": str(yard.journal)}
    yard.stack.submit("breaks", given, tags=[yard.tag])


def end(stack: Stack) -> None:
    """Everything that a test started."""
    for process in stack.processes:
        if process.process.poll() is None:
            process.kill()


def retried(yard: Yard) -> Counter[int]:
    """How many jobs were replayed how often."""
    return Counter(row["n"] for row in yard.stack.sql(_RETRIED, yard.tag))


def operations(stack: Stack) -> list[dict[str, Any]]:
    """The operations that run, straight from the database."""
    return stack.sql("select * from operations where status = 'running' order by id")


def died(process: Process) -> bool:
    """Whether it has killed itself."""
    return process.process.poll() is not None


def test_an_api_that_dies_in_the_middle(yard: Yard) -> None:
    """What it had committed stands; a worker that lives goes on behind it, and nothing is replayed twice."""
    api = yard.stack.start_api(LANEWAY_CRASH_POINT="replay.portion:2")
    operation = yard.replay().json()
    assert operation["total"] == MANY
    until(lambda: died(api))
    (left,) = operations(yard.stack)
    assert (left["done"], left["portions"]) == (200, 2)
    assert retried(yard) == {1: 200, 0: 300}
    yard.stack.start_worker()
    until(lambda: not operations(yard.stack))
    yard.stack.start_api()
    ended = yard.completed(operation)
    assert (ended["done"], ended["skipped"], ended["portions"]) == (MANY, 0, 5)
    yard.settled("succeeded", MANY)
    assert retried(yard) == {1: MANY}
    assert yard.ran() == Counter({f"{n} first": 1 for n in range(MANY)} | {f"{n} second": 2 for n in range(MANY)})
    entries = audited(yard, operation)
    assert Counter(entry["action"] for entry in entries) == {"jobs.replayed": 5, "dead_letters.replay": 1}
    named = [job_id for entry in entries for job_id in entry["job_ids"]]
    assert sorted(named) == sorted(yard.jobs())


def audited(yard: Yard, operation: dict[str, Any]) -> list[dict[str, Any]]:
    """The audit of an operation."""
    query = {"operation": operation["id"], "include": "jobs"}
    return list(yard.stack.client.get("/v1/audit", params=query).json()["data"])


def test_two_replays_at_once(yard: Yard) -> None:
    """Two processes work on two operations for the same jobs: each job goes to one of them."""
    yard.stack.start_api()
    second = Stack(yard.stack.servers, yard.stack.provider, yard.stack.hooks, yard.stack.folder, {})
    second.environment = yard.stack.environment
    try:
        second.start_api()
        with ThreadPoolExecutor(2) as clients:
            begun = list(clients.map(lambda url: replayed_at(yard, url), (yard.stack.url, second.url)))
        ended = [yard.completed(operation) for operation in begun]
    finally:
        second.close()
    assert sum(operation["done"] for operation in ended) == MANY
    assert all(operation["done"] + operation["skipped"] == operation["total"] for operation in ended)
    assert retried(yard) == {1: MANY}
    yard.stack.start_worker()
    yard.settled("succeeded", MANY)
    assert set(yard.ran().values()) == {1, 2}


def replayed_at(yard: Yard, url: str) -> dict[str, Any]:
    """A replay of the yard through that API."""
    client, body = yard.stack.client, {"filter": {"tag": yard.tag}}
    return dict(client.post(f"{url}{LETTERS}/replay", json=body, headers=bearer(KEY)).json())


def test_a_full_queue_is_waited_for(yard: Yard) -> None:
    """A replay takes half of the queue's bounds, and clients find the other half."""
    bounds = {"LANEWAY_QUEUE__MAX_UNSTARTED_PER_PROJECT": str(CAP)}
    yard.stack.start_api(**bounds)
    operation = yard.replay().json()
    until(lambda: yard.operation(operation["id"])["reason"] == "queue_full")
    held = yard.operation(operation["id"])
    assert (held["status"], held["done"]) == ("running", CAP // 2)
    assert yard.stack.post("noop", {"n": 1}).status_code == 202
    yard.stack.start_worker(**bounds)
    ended = yard.completed(operation)
    assert (ended["done"], ended["reason"]) == (MANY, None)
    assert max(entry["count"] for entry in audited(yard, operation) if entry["action"] == "jobs.replayed") <= CAP // 2
    yard.settled("succeeded", MANY)
