"""A hundred thousand jobs wait: submits, reads, lists, status and starts go on as if nobody did."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator

import pytest

from app.domain import ids
from tests.ops.alarms import standing
from tests.routers.support import Keys, alone, problem
from tests.stack import KEY, Stack, bearer, running_stack, until
from tests.supervise.embedded import open_folder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

QUEUED = 100_000
_FILL = """
with new as (
    select uuidv7() as id, uuidv7() as input_id, uuidv7() as event_id, n, clock_timestamp() as at
    from generate_series(1, $2) n
), stored as (
    insert into payloads (id, job_id, body) select input_id, id, '{"n":1}' from new
), told as (
    insert into events (id, project_id, job_id, type, at, revision)
    select event_id, $1, id, 'job.submitted', at, 1 from new
)
insert into jobs (
    id, project_id, workflow, version, lane, priority, status, due_at, created_at, expires_at, retain_s, input_id,
    trace_id, span_id, tags, metadata
)
select id, $1::uuid, 'noop', '1', case n % 2 when 0 then 'bulk' else 'standard' end, 5, 'queued', at, at,
    at + interval '1 day', 86400, input_id, repeat('a', 32), repeat('b', 16), '[]', '{}'
from new
"""
_BEFORE = """
select count(*) as n from jobs where lane = 'standard' and started_at < (select started_at from jobs where id = $1)
"""


@pytest.fixture(scope="module")
def full() -> Iterator[Stack]:
    """The cap is what waits and a thousand more; a worker of `standard` comes later."""
    with open_folder() as folder, running_stack(folder, LANEWAY_QUEUE__MAX_UNSTARTED=str(QUEUED + 1000)) as made:
        made.start_worker("interactive")
        made.start_api()
        project = Keys(made.servers.database_url).mint(project="flood").key.project_id
        made.sql(_FILL, project, QUEUED)
        until(lambda: sum(lane["queued"] for lane in made.client.get("/v1/status").json()["lanes"]) == QUEUED)
        yield made


def median_ms(act: Callable[[], object], times: int = 30) -> float:
    """What one act takes."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        act()
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


def test_the_api_answers(full: Stack) -> None:
    flood = bearer(Keys(full.servers.database_url).mint(project="flood").text)
    job = full.submit("noop", {"n": 1}, lane="bulk")["id"]

    def listed() -> None:
        page = full.client.get("/v1/jobs?limit=200&status=queued", headers=flood)
        assert page.status_code == 200 and len(page.json()["data"]) == 200

    took = {
        "submit": median_ms(lambda: full.submit("noop", {"n": 1}, lane="bulk")),
        "read": median_ms(lambda: full.job(job)),
        "list": median_ms(listed),
        "status": median_ms(lambda: standing(full)),
        "ready": median_ms(lambda: full.client.get("/readyz").raise_for_status()),
        "where it stands": median_ms(lambda: full.client.get(f"/v1/jobs/{job}?include=queue").raise_for_status(), 5),
    }
    assert took["submit"] < 50 and took["read"] < 50 and took["ready"] < 50, took
    assert took["list"] < 250 and took["status"] < 250 and took["where it stands"] < 1000, took


def test_interactive_work_starts_at_once(full: Stack) -> None:
    """In its own lane; nobody else's backlog stands before it."""
    assert full.submit("noop-fast", {"n": 1}, wait=20)["status"] == "succeeded"
    assert median_ms(lambda: full.submit("noop-fast", {"n": 1}, wait=20), 20) < 200


def test_another_projects_job_does_not_wait_for_all_of_them(full: Stack) -> None:
    """A worker comes: it claims at once, and takes turns between projects."""
    mine = full.submit("noop", {"n": 1})
    worker = full.start_worker("standard")
    ended = full.ended(mine["id"], 30)
    assert ended["status"] == "succeeded"
    (before,) = full.sql(_BEFORE, ids.read("job", mine["id"]))
    assert before["n"] < 2000, "of 50,000 that were there before"
    until(lambda: _succeeded(full) >= 2000, 60)
    worker.stop()


def _succeeded(full: Stack) -> int:
    return int(full.sql("select count(*) as n from jobs where status = 'succeeded' and lane = 'standard'")[0]["n"])


def test_the_cap_is_the_whole_services(full: Stack) -> None:
    """What waits for one project fills the queue of all; a restarted API knows it within a second."""
    project = Keys(full.servers.database_url).mint(project="flood").key.project_id
    full.sql(_FILL, project, 1000 + _succeeded(full))
    until(lambda: _status(full) == 429, 30)
    answer = full.post("noop", {"n": 1}, lane="bulk")
    assert 1 <= int(problem(answer, "queue_full")["retry_after_s"]) <= 60


def _status(full: Stack) -> int:
    body = {"input": {"n": 1}, "lane": "bulk"}
    return alone(full, "/v1/workflows/noop/jobs", json=body, headers=bearer(KEY)).status_code
