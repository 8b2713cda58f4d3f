"""More comes in than can be done: bounded, told when to come back, and nobody else has to wait for it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from app.domain import ids
from tests.flows.pressure import Sent, Stream, send
from tests.routers.support import Keys, alone, fresh, problem
from tests.stack import Stack, bearer, running_stack, until
from tests.supervise.embedded import open_folder

pytestmark = pytest.mark.slow

CAP = 300
RATE = 20.0
# What an API may not know of the others: they accept it between two counts, a second apart, or while one is made.
_UNSEEN_S = 1.5
_WAITS = """
select extract(epoch from started_at - created_at)::float8 as wait_s from jobs
where id = any($1::uuid[]) order by created_at
"""


@pytest.fixture(scope="module")
def apis() -> Iterator[list[Stack]]:
    """Two APIs that share a cap for each project, and a worker that does 50 jobs of the burst a second."""
    extra = {"LANEWAY_QUEUE__MAX_UNSTARTED_PER_PROJECT": str(CAP), "LANEWAY_LANES__STANDARD__SLOTS": "10"}
    with open_folder() as folder, running_stack(folder, **extra) as first:
        inner = folder / "second"
        inner.mkdir()
        second = Stack(first.servers, first.provider, first.hooks, inner, extra)
        try:
            first.start_api()
            second.start_api()
            first.start_worker("interactive,standard")
            until(lambda: first.client.get("/v1/status").json()["processes"] == {"serve": 2, "work": 1})
            yield [first, second]
        finally:
            second.close()


@pytest.fixture(scope="module")
def keys(apis: list[Stack]) -> Keys:
    return Keys(apis[0].servers.database_url)


def test_ten_times_the_load(apis: list[Stack], keys: Keys) -> None:
    """No 5xx; over the cap 429 with the time to come back; interactive work of others starts as it did."""
    api, flood, others = apis[0], keys.mint(project=fresh()).text, keys.mint(project=fresh()).text

    def load(rate: float, seconds: float) -> list[list[Sent]]:
        mark = {"journal": api.journal, "name": "x", "steps": 1, "step_s": 0.2}
        return send(
            Stream(api.url, flood, "marks", mark, rate, seconds),
            Stream(api.url, others, "noop-fast", {"n": 1}, RATE, seconds),
        )

    _, calm = load(RATE, 3)
    burst, urgent = load(10 * RATE, 6)
    assert Counter(one.status for one in calm) == {202: RATE * 3}
    assert Counter(one.status for one in urgent) == {202: RATE * 6}, "a project's flood fills its own queue only"
    assert {(one.status, one.code) for one in burst} == {(202, None), (429, "queue_full")}
    refused = [one for one in burst if one.status == 429]
    assert all(one.retry_after is not None and 1 <= one.retry_after <= 60 for one in refused)
    _is_bounded(burst)
    calm_s, burst_s = _waits(api, calm), _waits(api, urgent)
    assert _p95(burst_s) < max(2 * _p95(calm_s), 0.3), (_p95(calm_s), _p95(burst_s))
    accepted = [one.job_id for one in burst if one.status == 202]
    until(lambda: _ended(api, accepted) == {"succeeded": len(accepted)}, 30)
    fired = api.sql("select key from alerts where kind = 'unclaimed' and fired_at is not null")
    assert fired == [], "all slots were in use: a backlog alone is no alert"


def _is_bounded(burst: Sequence[Sent]) -> None:
    """Never more than the cap waits: what is accepted is the cap and what was started meanwhile."""
    accepted = sum(one.status == 202 for one in burst)
    seconds = max(one.at for one in burst) - min(one.at for one in burst)
    assert CAP <= accepted <= CAP + 50 * (seconds + _UNSEEN_S) + 10


def _waits(api: Stack, sent: Sequence[Sent]) -> list[float]:
    """From submit to start."""
    wanted = [ids.read("job", one.job_id) for one in sent if one.job_id]
    until(lambda: _ended(api, [one.job_id for one in sent]) == {"succeeded": len(sent)})
    return [row["wait_s"] for row in api.sql(_WAITS, wanted)]


def _p95(values: Sequence[float]) -> float:
    return sorted(values)[int(len(values) * 0.95)]


def _ended(api: Stack, job_ids: Sequence[str | None]) -> dict[str, int]:
    wanted = [ids.read("job", job_id) for job_id in job_ids if job_id]
    rows = api.sql("select status, count(*) as n from jobs where id = any($1::uuid[]) group by 1", wanted)
    return {row["status"]: row["n"] for row in rows}


def test_two_apis_share_the_cap_about(apis: list[Stack], keys: Keys) -> None:
    """It is passed by what the other accepts between two counts, at most; then both refuse."""
    key = keys.mint(project=fresh()).text
    streams = [Stream(api.url, key, "noop", {"n": 1}, 60, 6, lane="bulk") for api in apis]
    both = [[one for one in found if one.status == 202] for found in send(*streams)]
    total = sum(map(len, both))
    unseen = [_since(both[1 - n], both[n][-1].at - _UNSEEN_S, both[n][-1].at) for n in range(2)]
    assert CAP <= total <= CAP + max(unseen), (total, unseen)
    assert max(unseen) < CAP / 2, "the bound says something"
    for api in apis:
        problem(_post(api, key, "noop", {"n": 1}), "queue_full")


def _since(sent: Sequence[Sent], since: float, to: float) -> int:
    return sum(since < one.at <= to for one in sent)


def _post(api: Stack, key: str, workflow: str, input: Any, **headers: str) -> httpx.Response:
    return alone(api, f"/v1/workflows/{workflow}/jobs", json={"input": input}, headers={**bearer(key), **headers})


def test_when_to_come_back_follows_the_oldest(apis: list[Stack], keys: Keys) -> None:
    minted, api = keys.mint(project=fresh()), apis[0]
    send(Stream(api.url, minted.text, "noop", {"n": 1}, 150, 4, lane="bulk"))

    def told(due_at: str) -> int:
        api.sql(f"update jobs set due_at = {due_at} where project_id = $1", minted.key.project_id)
        time.sleep(1.5)
        return int(problem(_post(api, minted.text, "noop", {"n": 1}), "queue_full")["retry_after_s"])

    assert told("now()") == 1
    assert told("now() - interval '200 s'") in range(20, 23)
    assert told("now() - interval '1 hour'") == 60
    assert told("now() + interval '1 day'") == 60, "nothing starts soon"


def test_an_accepted_job_says_how_long_its_lane_will_take(apis: list[Stack], keys: Keys) -> None:
    """Ten slots and jobs of a second: with 100 due about ten seconds are left."""
    api, key = apis[0], keys.mint(project=fresh()).text
    mark = {"journal": api.journal, "name": "eta", "steps": 1, "step_s": 1.0}
    (found,) = send(Stream(api.url, key, "marks", mark, 100, 1.4))
    until(lambda: _lane(api, "standard")["ended_last_minute"] > 0)
    time.sleep(2.5)
    due = _lane(api, "standard")["due"]
    told = int(_post(api, key, "marks", mark).headers["retry-after"])
    assert 0.3 * due / 10 < told < 2 * due / 10 + 1, (due, told)
    until(lambda: _ended(api, [one.job_id for one in found]) == {"succeeded": len(found)}, 40)


def _lane(api: Stack, name: str) -> dict[str, Any]:
    lanes = api.client.get("/v1/status").json()["lanes"]
    return dict({one["lane"]: one for one in lanes}[name])


@pytest.mark.parametrize("by", ["key", "content"])
def test_a_hundred_equal_submits_to_two_apis_are_one_job(apis: list[Stack], by: str) -> None:
    name, value = fresh(), fresh()
    body: dict[str, Any] = {"input": {"value": value}, **({} if by == "key" else {"dedupe": {"within": "1h"}})}
    headers = {**bearer(_key(apis)), **({"Idempotency-Key": name} if by == "key" else {})}

    def submit(n: int) -> httpx.Response:
        return alone(apis[n % 2], "/v1/workflows/echo/jobs", json=body, headers=headers)

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(submit, range(100)))
    assert {answer.status_code for answer in answers} <= {201, 202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    again = "idempotent-replayed" if by == "key" else "laneway-deduplicated"
    assert sum(answer.headers.get(again) != "true" for answer in answers) == 1
    counted = apis[0].sql(_EQUAL, value.encode())
    assert counted == [{"jobs": 1, "events": 1}]


def _key(apis: list[Stack]) -> str:
    return str(apis[0].client.headers["authorization"].removeprefix("Bearer "))


_EQUAL = """
select count(distinct p.job_id) as jobs, count(distinct e.id) as events from payloads p
join jobs j on j.id = p.job_id and j.input_id = p.id join events e on e.job_id = j.id and e.type = 'job.submitted'
where position($1::bytea in p.body) > 0
"""
