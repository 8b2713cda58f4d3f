"""Dead letters over HTTP: by cause, by filter, replayed by id and by filter, each once."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.routers import many_shapes
from tests.dead_letters.yard import LETTERS, Yard
from tests.routers.support import Keys, problem
from tests.stack import Stack, bearer, until

_SUCCEEDED = """
select count(*) as n from events e join jobs j on j.id = e.job_id
where e.type = 'job.succeeded' and j.workflow = 'breaks'
"""


def counted(page: dict[str, Any]) -> list[tuple[Any, ...]]:
    """What stands out of each cause."""
    wanted = ("count", "workflow", "version", "step", "error_class", "error_code")
    return [tuple(cause[name] for name in wanted) for cause in page["data"]]


def test_failed_jobs_are_counted_by_cause(yard: Yard) -> None:
    broken = yard.fail("a", "b", "c")
    yard.fail("d", "e", how="transient")
    yard.fail("f", workflow="breaks-too")
    yard.fail("g", how="input")
    page = yard.causes()
    many_shapes.CausePage.model_validate(page)
    assert counted(page) == [
        (3, "breaks", "1", "second", "processing", "processing_broken"),
        (2, "breaks", "1", "second", "transient", "transient_broken"),
        (1, "breaks-too", "1", None, "processing", "workflow_error"),
    ]
    first = page["data"][0]
    assert (page["total"], page["has_more"]) == (6, False)
    assert first["detail"] == "it is broken"
    assert sorted(first["sample_job_ids"]) == sorted(broken)
    ends = sorted(job["ended_at"] for id, job in yard.jobs().items() if id in broken)
    assert (first["first_at"], first["last_at"]) == (ends[0], ends[-1])


def test_bad_input_stands_apart(yard: Yard) -> None:
    yard.fail("a")
    yard.fail("g", how="input")
    assert counted(yard.causes(disposition="quarantine")) == [(1, "breaks", "1", "second", "input", "input_broken")]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"workflow": "breaks-too"}, 1),
        ({"version": "1"}, 4),
        ({"version": "2"}, 0),
        ({"step": "second"}, 3),
        ({"error_class": "transient"}, 1),
        ({"error_code": "processing_broken"}, 2),
        ({"tag": "odd"}, 1),
        ({"since": (datetime.now(UTC) + timedelta(days=1)).isoformat()}, 0),
        ({"until": (datetime.now(UTC) + timedelta(days=1)).isoformat()}, 4),
        ({"until": "2020-01-01T00:00:00Z"}, 0),
        ({"since": "2020-01-01T00:00:00Z", "error_class": "transient"}, 1),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else str(value),
)
def test_filters_narrow(filtered: Yard, query: dict[str, str], names: int) -> None:
    only = {"tag": f"{query['tag']}-{filtered.tag}"} if "tag" in query else {}
    page = filtered.causes(**{**query, **only})
    assert page["total"] == sum(cause["count"] for cause in page["data"]) == names


@pytest.fixture(scope="module")
def filtered(stack: Stack) -> Yard:
    """Four that differ."""
    yard = Yard(stack)
    yard.fail("a")
    yard.fail("b", tags=[f"odd-{yard.tag}"])
    yard.fail("c", how="transient")
    yard.fail("d", workflow="breaks-too")
    return yard


def test_causes_come_in_pages(filtered: Yard) -> None:
    whole, seen, cursor = counted(filtered.causes()), [], {}
    for more in (True, True, False):
        page = filtered.causes(limit=1, **cursor)
        assert (page["has_more"], page["total"]) == (more, 4)
        seen += counted(page)
        cursor = {"cursor": page["next_cursor"]}
    assert seen == whole
    problem(filtered.stack.client.get(LETTERS, params={"cursor": "nonsense!"}), "invalid_cursor")


def test_ids_run_again_over_their_finished_steps(yard: Yard) -> None:
    jobs = yard.fail("a", "b")
    (spared,) = yard.fail("c")
    yard.mend()
    response = yard.replay({"ids": jobs})
    assert response.status_code == 202, response.text
    operation = response.json()
    many_shapes.Operation.model_validate(operation)
    assert response.headers["location"] == operation["urls"]["self"]
    assert (operation["total"], operation["status"], operation["filter"]) == (2, "running", None)
    ended = yard.completed(operation)
    assert (ended["done"], ended["skipped"], ended["status"]) == (2, 0, "completed")
    yard.settled("succeeded", 2)
    assert yard.jobs()[spared]["status"] == "failed"
    assert yard.ran() == {"a first": 1, "b first": 1, "c first": 1, "a second": 2, "b second": 2, "c second": 1}
    assert yard.events(jobs[0]) == ["job.submitted", "job.started", "job.failed", "job.retried", "job.succeeded"]
    assert [attempt["status"] for attempt in yard.stack.job(jobs[0])["attempts"]] == ["failed", "succeeded"]


def test_a_filter_from_the_start(yard: Yard) -> None:
    yard.fail("a", "b")
    yard.fail("c", how="transient")
    yard.mend()
    body = {"filter": {"tag": yard.tag, "error_class": "processing"}, "from": "start"}
    operation = yard.completed(yard.replay(body).json())
    assert (operation["done"], operation["from"]) == (2, "start")
    assert operation["filter"] == {"disposition": "dead_letter", "tag": yard.tag, "error_class": "processing"}
    yard.settled("succeeded", 2)
    assert yard.ran() == {"a first": 2, "b first": 2, "c first": 1, "a second": 2, "b second": 2, "c second": 1}


def test_in_another_version(yard: Yard) -> None:
    (job,) = yard.fail("a")
    wanted = {"tag": yard.tag, "workflow": "breaks"}
    problem(yard.replay({"filter": wanted, "version": "3"}), "input_invalid", "/version")
    problem(yard.replay({"filter": {"tag": yard.tag}, "version": "2"}), "input_invalid", "/version")
    yard.completed(yard.replay({"filter": wanted, "version": "2"}).json())
    assert yard.stack.ended(job)["output"] == {"name": "a 2"}


def test_what_fails_again_is_not_replayed_twice_by_one_operation(yard: Yard) -> None:
    yard.fail("a", "b", "c")
    operation = yard.completed(yard.replay().json())
    assert operation["done"] == 3
    yard.settled("failed", 3)
    assert set(yard.ran().values()) == {1, 2}
    assert yard.causes()["total"] == 3


def test_quarantine_is_replayed_only_when_it_is_named(yard: Yard) -> None:
    (job,) = yard.fail("a", how="input")
    yard.mend()
    assert yard.completed(yard.replay().json())["total"] == 0
    body = {"filter": {"tag": yard.tag, "disposition": "quarantine"}}
    assert yard.completed(yard.replay(body).json())["done"] == 1
    assert yard.stack.ended(job)["status"] == "succeeded"


def test_ids_that_are_no_dead_letters_are_skipped(yard: Yard) -> None:
    (job,) = yard.fail("a")
    fine = yard.stack.submit("noop", {"n": 1}, wait=10)["id"]
    yard.mend()
    operation = yard.completed(yard.replay({"ids": [fine, job, job]}).json())
    assert (operation["total"], operation["done"], operation["skipped"]) == (2, 1, 1)
    assert yard.stack.ended(job)["status"] == "succeeded"
    assert yard.events(fine).count("job.retried") == 0


def test_a_dry_run_does_nothing(yard: Yard) -> None:
    jobs = yard.fail("a", "b")
    for body in ({"filter": {"tag": yard.tag}}, {"ids": jobs}):
        response = yard.replay({**body, "dry_run": True})
        assert response.status_code == 200, response.text
        assert counted(response.json()) == [(2, "breaks", "1", "second", "processing", "processing_broken")]
    assert {job["status"] for job in yard.jobs().values()} == {"failed"}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, ""),
        ({"ids": []}, "/ids"),
        ({"filter": {}}, "/filter"),
        ({"filter": {"disposition": "dead_letter"}}, "/filter"),
        ({"ids": ["job_01k7zq0m8se9r8f2t4d6h8jkmn"], "filter": {"tag": "a"}}, ""),
    ],
)
def test_a_replay_names_what_it_wants(stack: Stack, body: dict[str, Any], pointer: str) -> None:
    problem(stack.client.post(f"{LETTERS}/replay", json=body), "input_invalid", pointer)


def test_the_same_key_begins_it_once(yard: Yard) -> None:
    yard.fail("a")
    first = yard.replay(Idempotency_Key=yard.tag)
    again = yard.replay(Idempotency_Key=yard.tag)
    assert (first.json()["id"], "idempotent-replayed" in first.headers) == (again.json()["id"], False)
    assert again.headers["idempotent-replayed"] == "true"
    problem(yard.replay({"filter": {"tag": "other"}}, Idempotency_Key=yard.tag), "idempotency_key_reused")
    assert yard.completed(first.json())["done"] == 1
    assert yard.events(next(iter(yard.jobs()))).count("job.retried") == 1


def test_the_audit_says_who_when_what_and_which(yard: Yard) -> None:
    jobs = yard.fail("a", "b")
    operation = yard.completed(yard.replay().json())
    query = {"operation": operation["id"], "include": "jobs"}
    page = yard.stack.client.get("/v1/audit", params=query).json()
    many_shapes.AuditPage.model_validate(page)
    done, asked = page["data"]
    assert (asked["action"], asked["count"], asked["request"]["filter"]["tag"]) == ("dead_letters.replay", 2, yard.tag)
    assert (done["action"], done["count"], sorted(done["job_ids"])) == ("jobs.replayed", 2, sorted(jobs))
    assert done["key_id"] == asked["key_id"] == operation["key_id"] is not None
    assert asked["at"] <= done["at"]


def test_webhooks_and_counts_are_the_ordinary_ones(yard: Yard) -> None:
    path = f"/{yard.tag}"
    yard.fail("a", webhook={"url": yard.stack.hooks.answer(path)})
    yard.mend()
    yard.completed(yard.replay().json())
    yard.settled("succeeded", 1)
    until(lambda: len(yard.stack.hooks.received(path)) == 2)
    types = [json.loads(arrival["body"])["type"] for arrival in yard.stack.hooks.received(path)]
    assert types == ["job.failed", "job.succeeded"]
    (told,) = yard.stack.sql(_SUCCEEDED)
    assert told["n"] >= 1
    until(lambda: ended(yard.stack) == told["n"])


def ended(stack: Stack) -> float:
    """How many jobs of `breaks` have succeeded, by the metrics of all processes."""
    lines = stack.client.get("/metrics").text.splitlines()
    own = [line for line in lines if line.startswith("laneway_jobs_ended_total{") and 'workflow="breaks"' in line]
    return sum(float(line.rsplit(" ", 1)[1]) for line in own if 'status="succeeded"' in line)


def test_other_projects_see_and_touch_nothing(yard: Yard) -> None:
    (job,) = yard.fail("a")
    operation = yard.completed(yard.replay().json())
    minted = Keys(yard.stack.servers.database_url).mint(project=f"other-{yard.tag}")
    other, client = bearer(minted.text), yard.stack.client
    assert client.get(LETTERS, headers=other).json()["total"] == 0
    # But for the making of its own key.
    assert [entry["action"] for entry in client.get("/v1/audit", headers=other).json()["data"]] == ["keys.created"]
    problem(client.get(f"/v1/operations/{operation['id']}", headers=other), "not_found")
    problem(client.get("/v1/audit", params={"operation": "op_x"}, headers=other), "not_found")
    problem(client.post(f"{LETTERS}/replay", json={"ids": [job]}, headers=other), "not_found")
    begun = client.post(f"{LETTERS}/replay", json={"filter": {"tag": yard.tag}}, headers=other)
    assert begun.json()["total"] == 0
    assert yard.events(job).count("job.retried") == 1


def test_a_key_reads_or_replays_what_it_may(yard: Yard) -> None:
    keys = Keys(yard.stack.servers.database_url)
    (job,) = yard.fail("a")
    yard.fail("b", workflow="breaks-too")
    reads, bound = keys.mint("jobs:read"), keys.mint(workflows=["breaks-too"])
    whole, client = {"filter": {"tag": yard.tag}}, yard.stack.client
    assert client.get(LETTERS, headers=bearer(reads.text)).status_code == 200
    problem(client.post(f"{LETTERS}/replay", json=whole, headers=bearer(reads.text)), "scope_missing")
    problem(client.get("/v1/audit", headers=bearer(reads.text)), "scope_missing")
    body = {"filter": {"workflow": "breaks"}}
    problem(client.post(f"{LETTERS}/replay", json=body, headers=bearer(bound.text)), "workflow_not_allowed")
    yard.mend()
    done = yard.completed(client.post(f"{LETTERS}/replay", json=whole, headers=bearer(bound.text)).json())
    assert done["done"] == 1
    assert yard.jobs()[job]["status"] == "failed"
