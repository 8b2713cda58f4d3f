"""A counted load gives exactly these counters, whichever API is asked; and what is asked for when a part is away."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest

from tests.ops.scraping import Scraped, read, scrape
from tests.routers.support import Keys, nobody, problem
from tests.stack import ENDED, Stack, bearer, until

Ends = Counter[tuple[str, ...]]
_PLACE = ("workflow", "lane", "status")
_LEDGER = """
select count(*) as calls, sum(input_tokens) as input, sum(output_tokens) as output, sum(cost_nanos) as nanos from ledger
"""


class Load:
    """Jobs that are sent, and how each must end."""

    def __init__(self) -> None:
        self.ends: Ends = Counter()
        self.posts = 0

    def send(
        self, api: Stack, status: str, workflow: str, input: Any, ends_in: str = "standard", **more: Any
    ) -> dict[str, Any]:
        """Submit one; the job."""
        self.ends[workflow, ends_in, status] += 1
        self.posts += 1
        return api.submit(workflow, input, **more)


@pytest.fixture(scope="module")
def load(stack: Stack, second: Stack) -> Load:
    """Jobs that end in every way, sent to both APIs; all have ended, and all was reported."""
    load = Load()
    for n in range(40):
        load.send((stack, second)[n % 2], "succeeded", "noop", {"n": n})
    for n in range(10):
        load.send(stack, "succeeded", "noop-fast", {"n": n}, "interactive")
    for kind in ("input", "input", "processing", "transient"):
        load.send(second, "failed", "wrong", {"kind": kind})
    for n in range(4):
        load.send(stack, "succeeded", "asks", {"text": f"ask {n}"})
    url = stack.hooks.answer("/counted", {"status": 500, "times": 1}, {"status": 204})
    hooked = load.send(stack, "succeeded", "noop", {"n": 1}, webhook={"url": url})
    keyed = [stack.post("noop", {"n": 2}, key="the-same").json()["id"] for _ in range(3)]
    assert len(set(keyed)) == 1
    load.ends["noop", "standard", "succeeded"] += 1
    _without_worker(load, stack)
    load.send(stack, "succeeded", "branch", {"journal": stack.journal, "leaves": 10})
    load.ends += Counter({("leaf", "bulk", "succeeded"): 9, ("leaf", "bulk", "failed"): 1})
    stack.start_worker("bulk")
    until(lambda: stack.job(hooked["id"])["webhook_delivery"] == "succeeded")
    until(lambda: _in_end_states(stack) == load.ends.total(), 40)
    until(lambda: scrape(stack.client).total("laneway_jobs_ended_total") >= load.ends.total())
    until(lambda: scrape(stack.client).total("laneway_webhook_attempts_total") >= 2)
    return load


def _without_worker(load: Load, stack: Stack) -> None:
    """Nobody serves `bulk` yet: one is canceled there, one expires."""
    job = load.send(stack, "canceled", "echo", {"value": 1}, "bulk", lane="bulk")
    assert stack.client.post(f"/v1/jobs/{job['id']}/cancel").status_code == 200
    job = load.send(stack, "expired", "echo", {"value": 1}, "bulk", lane="bulk", start_within="100ms")
    stack.ended(job["id"])


def _in_end_states(stack: Stack) -> int:
    return int(stack.sql("select count(*) as n from jobs where status = any($1)", list(ENDED))[0]["n"])


def test_every_end_is_counted_once(stack: Stack, second: Stack, load: Load) -> None:
    for api in (stack, second):
        assert scrape(api.client).by("laneway_jobs_ended_total", *_PLACE) == load.ends
    rows = stack.sql("select workflow, lane, status, count(*) as n from jobs group by 1, 2, 3")
    assert {(row["workflow"], row["lane"], row["status"]): row["n"] for row in rows} == load.ends


def test_submits_by_what_came_of_them(stack: Stack, load: Load) -> None:
    submitted = scrape(stack.client).by("laneway_jobs_submitted_total", "outcome")
    assert submitted == {("created",): load.ends.total(), ("replayed",): 2}
    assert scrape(stack.client).total("laneway_jobs_submitted_total", workflow="leaf") == 10


def test_stages_hold_every_run(stack: Stack, load: Load) -> None:
    found = scrape(stack.client)
    by_worker = {place: count for place, count in load.ends.items() if place[2] in ("succeeded", "failed")}
    counts = found.by("laneway_job_seconds_count", "stage")
    # The parent ran twice: once up to its children, once after them.
    assert counts["total",] == sum(by_worker.values())
    assert counts["run",] == counts["queue",] == sum(by_worker.values()) + 1
    assert found.total("laneway_jobs_parked_total", workflow="branch", reason="children") == 1
    assert counts["run",] == found.total("laneway_store_seconds_count", operation="settle")
    _check_buckets(found, "laneway_job_seconds")


def _check_buckets(found: Scraped, name: str) -> None:
    """Each bucket holds the one below it, the last holds all."""
    assert found.kinds[name] == "histogram"
    for (own, pairs), count in found.samples.items():
        if own != f"{name}_count":
            continue
        where = dict(pairs)
        buckets = found.by(f"{name}_bucket", "le", **where)
        values = [buckets[le] for le in sorted(buckets, key=lambda le: float(le[0]))]
        assert values == sorted(values) and values[-1] == count, where
        assert found.by(f"{name}_sum", **where)[()] >= 0


def test_errors_by_class(stack: Stack, load: Load) -> None:
    errors = scrape(stack.client).by("laneway_job_errors_total", "workflow", "class", "code", "status")
    assert errors == {
        ("wrong", "input", "input_invalid", "failed"): 2,
        ("wrong", "processing", "workflow_error", "failed"): 1,
        ("wrong", "transient", "dependency_failed", "failed"): 1,
        ("leaf", "input", "input_invalid", "failed"): 1,
        ("echo", "input", "canceled_by_client", "canceled"): 1,
        ("echo", "transient", "start_timeout", "expired"): 1,
    }


def test_steps_by_how_they_ended(stack: Stack, load: Load) -> None:
    found = scrape(stack.client)
    assert found.by("laneway_steps_total", "workflow", "step", "status", "class") == {
        ("asks", "classify", "succeeded", ""): 4,
        ("wrong", "fail", "failed", "input"): 2,
        ("wrong", "fail", "failed", "processing"): 1,
        ("wrong", "fail", "retrying", "transient"): 2,
        ("wrong", "fail", "failed", "transient"): 1,
        ("leaf", "grow", "succeeded", ""): 9,
        ("leaf", "grow", "failed", "input"): 1,
        # What lasts is recorded when it begins, too.
        ("branch", "leaves", "retrying", ""): 1,
        ("branch", "leaves", "succeeded", ""): 1,
    }
    assert found.total("laneway_step_seconds_count") == 4 + 4 + 10 + 1
    _check_buckets(found, "laneway_step_seconds")


def test_money_and_tokens_are_those_of_the_ledger(stack: Stack, load: Load) -> None:
    found, (ledger,) = scrape(stack.client), stack.sql(_LEDGER)
    assert found.by("laneway_calls_total", "workflow", "outcome") == {("asks", "succeeded"): ledger["calls"]}
    assert ledger["calls"] == len(stack.provider.calls()) == 4
    tokens = found.by("laneway_tokens_total", "kind")
    assert (tokens["input",], tokens["output",]) == (ledger["input"], ledger["output"])
    assert found.total("laneway_cost_dollars_total", workflow="asks") == pytest.approx(float(ledger["nanos"]) / 1e9)
    assert ledger["nanos"] > 0
    _check_buckets(found, "laneway_call_seconds")


def test_webhooks_by_outcome(stack: Stack, load: Load) -> None:
    assert scrape(stack.client).by("laneway_webhook_attempts_total", "outcome") == {("failed",): 1, ("succeeded",): 1}


def test_requests_by_route_and_status(stack: Stack, second: Stack, load: Load) -> None:
    route = "/v1/workflows/{workflow}/jobs"
    nobody(stack).get("/v1/no-such-thing")
    nobody(stack).get("/v1/jobs")

    def told() -> Scraped:
        return scrape(stack.client)

    until(lambda: told().total("laneway_http_requests_total", route="unmatched") >= 1)
    until(lambda: told().total("laneway_http_requests_total", route="/v1/jobs", status="401") == 1)
    found = told()
    # The three with one key besides: a repetition is answered by a job that has ended, or has not.
    statuses = found.by("laneway_http_requests_total", "status", route=route, method="POST")
    assert statuses.keys() <= {("201",), ("202",)}
    assert sum(statuses.values()) == load.posts + 3
    _check_buckets(found, "laneway_http_request_seconds")


def test_what_every_process_says_of_itself(stack: Stack, second: Stack, load: Load) -> None:
    found = scrape(stack.client)
    assert found.by("laneway_processes", "role") == {("serve",): 2, ("work",): 3}
    assert found.by("laneway_lane_workers", "lane") == {
        ("interactive",): 1, ("standard",): 2, ("bulk",): 1, ("delivery",): 1
    }  # fmt: skip
    assert found.by("laneway_slots", "lane") == {
        ("interactive",): 50, ("standard",): 200, ("bulk",): 200, ("delivery",): 50
    }  # fmt: skip
    pool = found.by("laneway_database_connections", "process", "state")
    assert len({process for process, _ in pool}) == 5
    assert all(value <= pool[process, "most"] == 8 for (process, _), value in pool.items())
    for name in ("laneway_event_loop_lag_seconds_count", "process_resident_memory_bytes", "process_cpu_seconds_total"):
        assert len(found.by(name, "process")) == 5, name
        assert all(value > 0 for value in found.by(name, "process").values()), name
    assert found.by("laneway_part_up", "part") == {("database",): 1, ("redis",): 1}


def test_no_label_tells_of_a_client(stack: Stack, load: Load) -> None:
    """Names of the catalogue and the configuration, routes and codes: nothing that a client chose, no id."""
    values = {value for _, pairs in scrape(stack.client).samples for name, value in pairs if name != "process"}
    assert not [
        value for value in values if re.search(r"(job|key|prj|dlv)_[0-9a-z]{20}|[0-9a-f]{8}-?[0-9a-f]{4}-?7", value)
    ]
    assert "the-same" not in values


def test_who_may_watch(stack: Stack, second: Stack) -> None:
    problem(nobody(stack).get("/metrics"), "missing_key")
    problem(nobody(stack).get("/v1/status"), "missing_key")
    reader = Keys(stack.servers.database_url).mint("jobs:read").text
    problem(nobody(stack).get("/metrics", headers=bearer(reader)), "scope_missing")
    for path in ("/metrics", "/v1/status"):
        assert nobody(second).get(path).status_code == 200


def test_backlog_and_pause(stack: Stack, load: Load) -> None:
    stack.sql("insert into pauses (kind, name) values ('lane', 'interactive')")
    try:
        for n in range(7):
            stack.submit("noop-fast", {"n": n})
        stack.submit("noop-fast", {"n": 1}, run_at="2030-01-01T00:00:00Z")
        found = scrape(stack.client)
        assert found.by("laneway_lane_due_jobs", "lane")["interactive",] == 7
        assert found.by("laneway_lane_jobs", "status", "reason", lane="interactive") == {
            ("queued", ""): 7,
            ("scheduled", "run_at"): 1,
        }
        assert found.by("laneway_lane_paused", "lane", lane="interactive") == {("interactive",): 1}
        assert 0 < found.total("laneway_lane_oldest_seconds", lane="interactive") < 60
    finally:
        stack.sql("delete from pauses")
    until(lambda: scrape(stack.client).total("laneway_lane_due_jobs", lane="interactive") == 0)


def test_a_process_that_ended_is_heard_once_more(stack: Stack, load: Load) -> None:
    """Its counts stay for a minute, so that no scrape misses them; its slots are gone at once."""
    worker = stack.start_worker("bulk", LANEWAY_LANES__BULK__SLOTS="17")
    process = f":{worker.pid}"

    def slots() -> list[float]:
        found = scrape(stack.client).by("laneway_slots", "process", lane="bulk")
        return [value for (name,), value in found.items() if name.endswith(process)]

    until(lambda: slots() == [17])
    assert worker.stop() == 0
    assert slots() == []
    left = scrape(stack.client).by("process_cpu_seconds_total", "process")
    assert [name for (name,) in left if name.endswith(process)]


def test_without_redis_and_without_the_database(stack: Stack, second: Stack, load: Load) -> None:
    """The last test here: it takes the servers away."""
    stack.servers.valkey.kill()
    found = scrape(stack.client)
    assert found.by("laneway_part_up", "part") == {("database",): 1, ("redis",): 0}
    assert found.total("laneway_jobs_ended_total") > 0
    stack.servers.postgres.kill()
    response = nobody(second).get("/metrics")
    assert response.status_code == 200
    found = read(response.text)
    assert found.by("laneway_part_up", "part") == {("database",): 0, ("redis",): 0}
    assert len(found.by("process_resident_memory_bytes", "process")) == 1, "it tells of itself"
