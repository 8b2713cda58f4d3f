"""Usage over HTTP on rows of the ledger whose times are known: bounds, time zones, groups, wrong questions."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from app.domain import ids
from app.routers import money_shapes
from tests.routers.support import Keys, fresh, nobody, problem
from tests.stack import Stack, bearer

_DAY = datetime.fromisoformat("2026-03-02T00:00:00+00:00")
_MS = timedelta(milliseconds=1)
# When, workflow, model, outcome, cost, saved, whether the cost is known.
ROWS = (
    (_DAY - _MS, "a", "x", "succeeded", 1, 0, True),
    (_DAY, "a", "x", "succeeded", 10, 0, True),
    (_DAY + timedelta(hours=12), "b", "y", "failed", 100, 0, False),
    (_DAY + timedelta(hours=13), "b", "y", "cached", 0, 7, True),
    (_DAY + timedelta(hours=24) - _MS, "b", "x", "late", 1000, 0, True),
    (_DAY + timedelta(hours=24), "a", "x", "succeeded", 10_000, 0, True),
)
_INSERT = """
insert into ledger (call_id, at, project_id, key_id, workflow, version, job_id, step, attempt, provider, model, outcome,
    input_tokens, output_tokens, cached_tokens, cost_nanos, price_known, saved_nanos, test_mode)
values ($1, $2, $3, $4, $5, '1', gen_random_uuid(), 'ask', 1, 'main', $6, $7, 8, 4, 2, $8, $9, $10, $11)
"""


class Project:
    """A project of its own, with all rows of a live key, and one of a test key."""

    def __init__(self, stack: Stack, keys: Keys) -> None:
        self.stack, name = stack, fresh()
        self.live, self.test = keys.mint(project=name), keys.mint(project=name, mode="test")
        for row in ROWS:
            self.write(row, self.live.key.id, test=False)
        self.write((_DAY, "t", "z", "succeeded", 5, 0, True), self.test.key.id, test=True)

    def write(self, row: tuple[Any, ...], key_id: UUID, *, test: bool) -> None:
        at, workflow, model, outcome, cost, saved, known = row
        call = UUID(int=ids.uuid7_floor(int(at.timestamp() * 1000)).int | int(fresh()[:15], 16))
        whose = (self.live.key.project_id, key_id, workflow, model, outcome)
        self.stack.sql(_INSERT, call, at, *whose, cost, known, saved, test)

    def ask(self, text: str | None = None, **query: str) -> dict[str, Any]:
        answer = nobody(self.stack).get("/v1/usage", params=query, headers=bearer(text or self.live.text))
        assert answer.status_code == 200, answer.text
        money_shapes.UsageReport.model_validate(answer.json())
        return dict(answer.json())

    def costs(self, **query: str) -> dict[str, int]:
        return {one["group"]: _nanos(one["cost_usd"]) for one in self.ask(**query)["data"]}


@pytest.fixture(scope="module")
def project(stack: Stack, keys: Keys) -> Project:
    return Project(stack, keys)


DAY = {"from": "2026-03-02", "to": "2026-03-02"}


def test_a_date_is_the_whole_day_in_utc_and_a_time_is_itself(project: Project) -> None:
    assert project.costs(**DAY) == {"2026-03-02": 1110}
    same = {"from": "2026-03-02T02:00:00+02:00", "to": "2026-03-02T19:00:00-05:00"}
    assert project.ask(**same) == project.ask(**DAY)
    assert project.costs(**{"from": "2026-03-01", "to": "2026-03-03"}) == {
        "2026-03-01": 1, "2026-03-02": 1110, "2026-03-03": 10_000
    }  # fmt: skip
    # `to` is not in it, `from` is.
    assert project.costs(**{"from": "2026-03-02T00:00:00Z", "to": "2026-03-02T00:00:00.001Z"}) == {"2026-03-02": 10}
    assert project.costs(**{"from": "2026-03-01T23:59:59.999Z", "to": "2026-03-02T00:00:00Z"}) == {"2026-03-01": 1}
    # Without `from` thirty days before `to`.
    assert project.ask(to="2026-03-31")["total"]["cost_usd"] == "0.000011110"
    assert project.ask(to="2026-04-01")["total"]["cost_usd"] == "0.000010000"


def test_what_caches_saved_what_failed_and_what_is_uncertain_in_each_grouping(project: Project) -> None:
    key = ids.show("key", project.live.key.id)
    costs = {"day": {"2026-03-02": 1110}, "workflow": {"a": 10, "b": 1100}, "model": {"main/x": 1010, "main/y": 100}}
    for group_by, expected in {**costs, "key": {key: 1110}}.items():
        assert project.costs(group_by=group_by, **DAY) == expected
        total = project.ask(group_by=group_by, **DAY)["total"]
        assert total == {
            "group": None, "calls": 3, "input_tokens": 32, "output_tokens": 16, "cached_tokens": 8,
            "cost_usd": "0.000001110", "saved_usd": "0.000000007", "failed_cost_usd": "0.000001100",
            "uncertain_cost_usd": "0.000000100",
        }  # fmt: skip
    (b,) = [one for one in project.ask(group_by="workflow", **DAY)["data"] if one["group"] == "b"]
    assert (b["calls"], b["saved_usd"], b["failed_cost_usd"]) == (2, "0.000000007", "0.000001100")


def test_a_test_key_is_told_of_test_calls_and_another_project_of_nothing(project: Project, keys: Keys) -> None:
    assert project.ask(project.test.text, group_by="workflow", **DAY)["data"][0]["group"] == "t"
    empty = project.ask(keys.mint(project=fresh()).text, **DAY)
    assert empty["data"] == [] and set(empty["total"].values()) == {None, 0, "0.000000000"}
    at_once = {"from": "2026-03-02T12:00:00Z", "to": "2026-03-02T12:00:00Z"}
    assert project.ask(**at_once)["data"] == []


@pytest.mark.parametrize(
    ("query", "pointer", "code"),
    [
        ({"group_by": "week"}, "/group_by", "input_invalid"),
        ({"group_by": ""}, "/group_by", "input_invalid"),
        ({"from": "2026-03-02T00:00:00"}, "/from", "input_invalid"),
        ({"from": "yesterday"}, "/from", "input_invalid"),
        ({"to": "2026-02-30"}, "/to", "input_invalid"),
        ({"to": ""}, "/to", "input_invalid"),
        ({"from": "2026-03-03", "to": "2026-03-01"}, "/from", "input_invalid"),
        ({"since": "2026-03-01"}, "/since", "unknown_field"),
    ],
)
def test_a_wrong_question_names_its_parameter(
    stack: Stack, project: Project, query: dict[str, str], pointer: str, code: str
) -> None:
    problem(nobody(stack).get("/v1/usage", params=query, headers=bearer(project.live.text)), code, pointer)


def test_any_time_may_be_asked_for(project: Project) -> None:
    assert project.ask(**{"from": "0001-01-01", "to": "9999-12-31"})["total"]["cost_usd"] == "0.000011111"


def _nanos(usd: str) -> int:
    return int(usd.replace(".", ""))
