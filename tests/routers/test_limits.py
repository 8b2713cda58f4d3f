"""What a client may do and what is left of it; what each error code means."""

from __future__ import annotations

from app.domain import money
from app.domain.advice import ADVICE
from app.domain.errors import CATALOGUE
from app.routers import limit_shapes
from tests.routers.support import Keys, fresh, nobody, problem
from tests.stack import Stack, bearer, until

URL = "/v1/limits"


def test_every_code_says_what_to_do(stack: Stack, keys: Keys) -> None:
    assert set(ADVICE) == set(CATALOGUE)
    answer = nobody(stack).get("/v1/errors", headers=bearer(keys.mint("jobs:read").text))
    found = limit_shapes.ErrorList.model_validate(answer.json())
    assert [one.code for one in found.data] == list(CATALOGUE)
    for one in found.data:
        entry = CATALOGUE[one.code]
        assert (one.status, one.title, one.retryable) == (entry.status or None, entry.title, entry.retryable)
        assert one.what_to_do.endswith(".") and one.class_ == ADVICE[one.code].error_class


def test_limits_of_a_client_and_what_is_left(stack: Stack, keys: Keys) -> None:
    made = stack.client.post("/v1/api-keys", json={"name": fresh(), "budget": {"day_usd": "1"}}).json()
    mine = bearer(made["key"])
    before = nobody(stack).get(URL, headers=mine).json()
    limit_shapes.ClientLimits.model_validate(before)
    (budget,) = before["budgets"]
    assert (budget["scope"], budget["key_id"], budget["period"]) == ("key", made["id"], "day")
    assert (budget["spent_usd"], budget["left_usd"]) == ("0.000000000", "1.000000000")
    given = {"input": {"text": fresh()}}
    job = nobody(stack).post("/v1/workflows/asks/jobs", json=given, headers={**mine, "Prefer": "wait=20"}).json()
    cost = money.nanos(job["usage"]["cost_usd"])
    assert job["status"] == "succeeded" and cost > 0

    def left() -> int:
        return money.nanos(nobody(stack).get(URL, headers=mine).json()["budgets"][0]["left_usd"])

    until(lambda: left() == money.NANOS_PER_DOLLAR - cost, 10)
    # Another project's queue is empty, and fills by what it submits: nothing starts in the lane `interactive`.
    other = bearer(keys.mint(project=fresh()).text)
    for n in range(3):
        nobody(stack).post("/v1/workflows/noop-fast/jobs", json={"input": {"n": n}}, headers=other)
    found = nobody(stack).get(URL, headers=other).json()
    assert found["queue"]["unstarted"] == 3 and found["budgets"] == []
    assert found["queue"]["left"] == found["queue"]["max_unstarted"] - 3
    problem(nobody(stack).get(URL, headers=bearer(keys.mint("jobs:write").text)), "scope_missing")
