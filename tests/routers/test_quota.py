"""How many requests a key may send: said on every answer, refused beyond it, one count over all APIs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.routers.conftest import WORKFLOWS
from tests.routers.support import Keys, fresh, nobody, problem
from tests.stack import Stack, bearer

_QUOTA = 12


@pytest.fixture(scope="module")
def apis(stack: Stack, folder: Path) -> Iterator[list[Stack]]:
    """Two APIs on the same servers, with a small quota."""
    made = []
    try:
        for n in range(2):
            inner = folder / f"quota-{n}"
            inner.mkdir()
            extra = {"LANEWAY_WORKFLOWS": WORKFLOWS, "LANEWAY_HTTP__REQUESTS_PER_MINUTE": str(_QUOTA)}
            made.append(Stack(stack.servers, stack.provider, stack.hooks, inner, extra))
            made[-1].start_api()
        yield made
    finally:
        for one in made:
            one.close()


def left(answer: httpx.Response) -> int:
    """What the answer says is left."""
    return int(answer.headers["ratelimit"].split("r=")[1].split(";")[0])


def test_each_answer_says_what_is_left(stack: Stack, keys: Keys) -> None:
    key = bearer(keys.mint().text)
    first, second = (nobody(stack).get("/v1/jobs", headers=key) for _ in range(2))
    assert first.headers["ratelimit-policy"] == '"requests";q=600000;w=60'
    assert first.headers["ratelimit"] == '"requests";r=599999;t=1'
    assert left(second) in (599998, 599999)
    refused = nobody(stack).get("/v1/pools", headers=bearer(keys.mint("jobs:read").text))
    assert (refused.status_code, left(refused)) == (403, 599999)
    assert "ratelimit" not in nobody(stack).get("/livez").headers
    assert "ratelimit" not in nobody(stack).get("/v1/jobs", headers=bearer("lw_live_" + "x" * 32)).headers


def test_beyond_it_requests_are_refused_and_nothing_is_stored(apis: list[Stack], keys: Keys) -> None:
    api, minted = apis[0], keys.mint(project=fresh())
    key = bearer(minted.text)
    path, headers = "/v1/workflows/noop-fast/jobs", {**key, "Idempotency-Key": fresh()}
    taken = [nobody(api).post(path, json={"input": {"n": n}}, headers=key) for n in range(_QUOTA)]
    assert {answer.status_code for answer in taken} == {202}
    refused = nobody(api).post(path, json={"input": {"n": 1}}, headers=headers)
    body = problem(refused, "rate_limited")
    assert body["type"] == "https://iana.org/assignments/http-problem-types#quota-exceeded"
    assert body["violated-policies"] == ["requests"] and left(refused) == 0
    assert 1 <= body["retry_after_s"] <= 60 / _QUOTA + 1
    again = nobody(api).get("/v1/limits", headers=key)
    problem(again, "rate_limited")
    assert nobody(api).get("/v1/limits", headers=bearer(keys.mint().text)).json()["request"]["per_minute"] == _QUOTA
    time.sleep(body["retry_after_s"])
    assert nobody(api).post(path, json={"input": {"n": 2}}, headers=headers).status_code == 202
    project = minted.key.project_id
    assert api.sql("select count(*) as n from jobs where project_id = $1", project)[0]["n"] == _QUOTA + 1


def test_an_answer_that_nothing_has_changed_costs_nothing(apis: list[Stack], keys: Keys) -> None:
    api, key = apis[0], bearer(keys.mint().text)
    made = nobody(api).post("/v1/workflows/noop-fast/jobs", json={"input": {"n": 1}}, headers=key)
    known = {**key, "If-None-Match": made.headers["etag"]}
    polls = [nobody(api).get(f"/v1/jobs/{made.json()['id']}", headers=known) for _ in range(3 * _QUOTA)]
    assert {poll.status_code for poll in polls} == {304}
    assert {left(poll) for poll in polls} <= {_QUOTA - 2, _QUOTA - 1}


def test_all_apis_count_together(apis: list[Stack], keys: Keys) -> None:
    key = bearer(keys.mint().text)
    for _ in range(_QUOTA):
        assert nobody(apis[0]).get("/v1/jobs", headers=key).status_code == 200
    time.sleep(0.6)
    assert nobody(apis[1]).get("/v1/jobs", headers=key).status_code == 200, "it hears of others with its next telling"
    time.sleep(0.6)
    problem(nobody(apis[1]).get("/v1/jobs", headers=key), "rate_limited")


def test_who_sends_too_many_invalid_keys_is_held_up_and_nobody_else(apis: list[Stack], keys: Keys) -> None:
    """By address; a key that has called before goes on."""
    api, known, fresh_one = apis[0], bearer(keys.mint().text), bearer(keys.mint().text)
    mine, other = {"X-Forwarded-For": "203.0.113.7"}, {"X-Forwarded-For": "203.0.113.8"}
    assert nobody(api).get("/v1/jobs", headers={**known, **mine}).status_code == 200
    bad = [{**bearer("lw_live_" + f"{n:032d}"), **mine} for n in range(400)]
    statuses = [nobody(api).get("/v1/jobs", headers=headers).status_code for headers in bad]
    refused = statuses.index(429)
    assert 300 <= refused < 400 and set(statuses[:refused]) == {401}
    problem(nobody(api).get("/v1/jobs", headers={**fresh_one, **mine}), "rate_limited")
    assert nobody(api).get("/v1/jobs", headers={**known, **mine}).status_code == 200
    assert nobody(api).get("/v1/jobs", headers={**fresh_one, **other}).status_code == 200
