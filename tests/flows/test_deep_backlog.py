"""Ten thousand jobs of several projects wait for a provider that answers fifteen a second, which nobody told us."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.flows.untold import tell_nothing
from tests.routers.support import Keys
from tests.stack import Stack, running_stack, until
from tests.supervise.embedded import open_folder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

RATE_PER_S = 15
SIZES = {"flood": 7000, "second": 2800, "small": 200}
_FILL = """
with new as (
    select uuidv7() as id, uuidv7() as input_id, uuidv7() as event_id, n, clock_timestamp() as at
    from generate_series(1, $2) n
), stored as (
    insert into payloads (id, job_id, body)
    select input_id, id, convert_to(format('{"text":"%s %s"}', $3::text, n), 'UTF8') from new
), told as (
    insert into events (id, project_id, job_id, type, at, revision)
    select event_id, $1, id, 'job.submitted', at, 1 from new
)
insert into jobs (
    id, project_id, workflow, version, lane, priority, status, due_at, created_at, expires_at, retain_s, input_id,
    trace_id, span_id, tags, metadata
)
select id, $1::uuid, 'spend', '1', 'bulk', 5, 'queued', at, at, at + interval '1 day', 86400, input_id,
    repeat('a', 32), repeat('b', 16), jsonb_build_array($3::text), '{}'
from new
"""
_SO_FAR = """
select count(*) filter (where status = 'succeeded') as ended, count(*) filter (where started_at is null) as fresh,
    coalesce(sum(epoch), 0) as epochs, count(*) filter (where pool is not null) as parked
from jobs where lane = 'bulk'
"""
_BY_PROJECT = """
select tags->>0 as name, count(*) as n from jobs
where lane = 'bulk' and status = 'succeeded' and ended_at > $1 group by 1
"""
_PARKS = "select count(*) as n from attempts where status = 'parked' and ended_at > $1"
_NOW = "select clock_timestamp() as now"


@dataclass(frozen=True, slots=True)
class Span:
    """What happened within `seconds`: calls that ended, parks, and what each project had of it."""

    seconds: float
    ended: int
    parks: int
    by_project: dict[str, int]


@pytest.fixture(scope="module")
def deep() -> Iterator[Stack]:
    """All of it is queued; nobody works yet."""
    limits = (
        "--rpm",
        str(60 * RATE_PER_S),
        "--burst-s",
        "2",
        "--latency",
        "uniform(200,600)",
        "--limit-headers",
        "none",
    )
    extra = {"LANEWAY_WORKFLOWS": "tests.flows.spending"}
    with open_folder() as folder, running_stack(folder, provider=limits, **extra) as made:
        tell_nothing(made)
        made.start_api()
        for name, size in SIZES.items():
            made.sql(_FILL, Keys(made.servers.database_url).mint(project=name).key.project_id, size, name)
        made.sql("analyze jobs")
        yield made


def during(stack: Stack, seconds: float) -> Span:
    """What happens from now on."""
    (began,) = stack.sql(_NOW)
    started = time.monotonic()
    before = stack.sql(_SO_FAR)[0]["ended"]
    time.sleep(seconds)
    took = time.monotonic() - started
    ended = stack.sql(_SO_FAR)[0]["ended"] - before
    parks = stack.sql(_PARKS, began["now"])[0]["n"]
    return Span(took, ended, parks, {row["name"]: row["n"] for row in stack.sql(_BY_PROJECT, began["now"])})


def ask(stack: Stack) -> float:
    """Seconds that a person waits for one call."""
    began = time.monotonic()
    job: dict[str, Any] = stack.submit("spend-fast", {"text": f"now {began}"}, wait=30)
    assert job["status"] == "succeeded"
    return time.monotonic() - began


def test_the_pool_is_full_nobody_churns_and_everybody_has_his_share(deep: Stack) -> None:
    workers = [deep.start_worker(), deep.start_worker()]
    until(lambda: deep.sql(_SO_FAR)[0]["ended"] >= 1, 60)
    sweeping = during(deep, 30)
    until(lambda: deep.sql(_SO_FAR)[0]["fresh"] == 0, 180)
    waits = [ask(deep) for _ in range(5)]
    calm = during(deep, 40)
    print(sweeping, calm, waits, deep.sql(_SO_FAR))
    assert calm.ended >= 0.93 * RATE_PER_S * calm.seconds, "the pool is kept full"
    assert sweeping.ended >= 0.8 * RATE_PER_S * sweeping.seconds, "and is so while all come for the first time"
    assert calm.parks <= 0.3 * calm.ended, "who was woken finds his place"
    (so_far,) = deep.sql(_SO_FAR)
    parks = deep.sql(_PARKS.split(" and ")[0])[0]["n"]
    assert parks <= 1.3 * sum(SIZES.values()), "each job is parked once, or little more"
    assert so_far["ended"] > 0
    assert sorted(waits)[2] < 5, "a person waits for no backlog"
    if "small" in sweeping.by_project:
        assert sweeping.by_project["small"] >= 0.6 * sweeping.ended / 3
    both = calm.by_project
    assert abs(both["flood"] - both["second"]) <= 0.3 * (both["flood"] + both["second"]), "equal shares of two floods"
    for worker in workers:
        worker.stop()
