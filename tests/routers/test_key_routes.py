"""Keys and projects over HTTP: made once, rotated with a grace, never stronger than who asks, told in the audit."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from click.testing import Result
from typer.testing import CliRunner

from app.cli.keys import keys as keys_command
from app.routers import money_shapes
from tests.routers.support import Keys, alone, fresh, nobody, problem
from tests.stack import KEY, Stack, bearer, until

URL = "/v1/api-keys"


def post(stack: Stack, path: str, body: Any, key: str = KEY, idempotency: str | None = None) -> httpx.Response:
    headers = {**bearer(key), **({"Idempotency-Key": idempotency} if idempotency else {})}
    return nobody(stack).post(path, json=body, headers=headers)


def made(stack: Stack, path: str = URL, key: str = KEY, **body: Any) -> dict[str, Any]:
    answer = post(stack, path, {"name": "made", **body}, key)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def works(stack: Stack, text: str) -> bool:
    return nobody(stack).get("/v1/jobs", headers=bearer(text)).status_code == 200


def audit(stack: Stack, key: str = KEY) -> list[tuple[str, list[str]]]:
    entries = nobody(stack).get("/v1/audit?limit=200", headers=bearer(key)).json()["data"]
    return [(entry["action"], entry["tags"]) for entry in entries]


def test_a_hundred_equal_posts_make_one_key_and_show_its_text_once(stack: Stack) -> None:
    body, name = {"name": fresh(), "scopes": ["jobs:read"]}, fresh()
    headers = {**bearer(KEY), "Idempotency-Key": name}

    def ask(_: int) -> httpx.Response:
        return alone(stack, URL, json=body, headers=headers)

    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(ask, range(32)))
    assert {answer.status_code for answer in answers} == {201}, answers
    assert len({answer.json()["id"] for answer in answers}) == 1
    shown = [answer for answer in answers if "key" in answer.json()]
    assert len(shown) == 1 and works(stack, shown[0].json()["key"])
    repeated = [answer for answer in answers if answer.headers.get("idempotent-replayed") == "true"]
    assert len(repeated) == len(answers) - 1
    problem(post(stack, URL, {**body, "name": "another"}, idempotency=name), "idempotency_key_reused")
    past = {"name": "x", "expires_at": "2020-01-01T00:00:00Z"}
    for wrong, pointer in (({"name": ""}, "/name"), (past, "/expires_at"), ({"name": "x", "mode": "dry"}, "/mode")):
        problem(post(stack, URL, wrong, idempotency=fresh()), "input_invalid", pointer)


def test_a_rotated_key_works_until_its_grace_is_over(stack: Stack) -> None:
    old = made(stack, scopes=["jobs:read", "jobs:write"], budget={"day_usd": "5"})
    at = f"{URL}/{old['id']}/rotate"
    answer = post(stack, at, {"grace": "3s"}, idempotency="once-" + old["id"])
    assert answer.status_code == 201, answer.text
    new = answer.json()
    money_shapes.ApiKeyState.model_validate(new)
    assert new["id"] != old["id"] and new["key"] != old["key"]
    assert new["first_id"] == old["first_id"] == old["id"]
    same = ("name", "scopes", "mode", "workflows", "budget", "project_id", "expires_at")
    assert {name: new[name] for name in same} == {name: old[name] for name in same}
    assert works(stack, old["key"]) and works(stack, new["key"])
    again = post(stack, at, {"grace": "3s"}, idempotency="once-" + old["id"])
    assert again.headers["idempotent-replayed"] == "true" and again.json()["id"] == new["id"]
    assert "key" not in again.json()
    until(lambda: not works(stack, old["key"]), 8)
    assert works(stack, new["key"])
    problem(post(stack, at, {}), "state_conflict")
    nobody(stack).delete(f"{URL}/{new['id']}", headers=bearer(KEY))
    problem(post(stack, f"{URL}/{new['id']}/rotate", {}), "state_conflict")
    for grace in ("1y", 5, "-1s", "31d"):
        problem(post(stack, at, {"grace": grace}), "input_invalid", "/grace")
    problem(post(stack, f"{URL}/{old['id']}/rotate", {"grase": "1h"}), "unknown_field", "/grase")
    problem(post(stack, f"{URL}/key_0000000000000000000000000z/rotate", {}), "not_found")


def test_a_budget_and_usage_outlive_a_rotation(stack: Stack) -> None:
    old = made(stack, budget={"day_usd": "0.000000001"})
    given = {"input": {"text": fresh()}}
    first = nobody(stack).post(
        "/v1/workflows/asks/jobs", json=given, headers={**bearer(old["key"]), "Prefer": "wait=20"}
    )
    assert first.json()["status"] == "succeeded", first.text
    new = post(stack, f"{URL}/{old['id']}/rotate", {"grace": "1h"}).json()

    def refused(key: str) -> bool:
        body = {"input": {"text": fresh()}}
        return nobody(stack).post("/v1/workflows/asks/jobs", json=body, headers=bearer(key)).status_code == 402

    until(lambda: refused(old["key"]), 10)
    assert refused(new["key"])
    groups = nobody(stack).get("/v1/usage?group_by=key", headers=bearer(new["key"])).json()["data"]
    assert old["id"] in [one["group"] for one in groups] and new["id"] not in [one["group"] for one in groups]
    # What is changed of one is changed of both: it is one budget.
    nobody(stack).patch(f"{URL}/{new['id']}", json={"budget": None}, headers=bearer(KEY))
    assert nobody(stack).get(f"{URL}/{old['id']}", headers=bearer(KEY)).json()["budget"] is None
    until(lambda: not refused(new["key"]), 10)


def test_a_key_makes_no_stronger_one_in_any_way(stack: Stack, keys: Keys) -> None:
    soon = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    admin = made(
        stack, scopes=["keys:admin", "jobs:read"], workflows=["noop"], expires_at=soon, budget={"day_usd": "2"}
    )["key"]
    child = made(stack, key=admin)
    assert child["workflows"] == ["noop"] and child["budget"]["day_usd"] == "2.000000000"
    assert child["expires_at"] is not None and child["scopes"] == ["jobs:read", "keys:admin"]
    later = (datetime.now(UTC) + timedelta(hours=3)).isoformat()
    for body, pointer in (
        ({"scopes": ["jobs:write"]}, "/scopes"),
        ({"workflows": ["noop", "echo"]}, "/workflows"),
        ({"expires_at": later}, "/expires_at"),
        ({"budget": {"day_usd": "3"}}, "/budget/day_usd"),
    ):
        problem(post(stack, URL, {"name": "x", **body}, admin), "input_invalid", pointer)
    own = made(stack, key=admin, budget={"hour_usd": "1"})
    assert own["budget"] == {"hour_usd": "1.000000000", "day_usd": "2.000000000", "month_usd": None}
    raised = nobody(stack).patch(f"{URL}/{child['id']}", json={"budget": {"day_usd": "9"}}, headers=bearer(admin))
    problem(raised, "input_invalid", "/budget/day_usd")
    freed = nobody(stack).patch(f"{URL}/{child['id']}", json={"budget": None}, headers=bearer(admin))
    assert freed.json()["budget"]["day_usd"] == "2.000000000"
    # Nor does it get the text of a stronger one.
    strong = made(stack)
    problem(post(stack, f"{URL}/{strong['id']}/rotate", {}, admin), "input_invalid", "/scopes")
    test = keys.mint("keys:admin", mode="test").text
    live = made(stack, scopes=["keys:admin"])
    problem(post(stack, f"{URL}/{live['id']}/rotate", {}, test), "input_invalid", "/mode")
    lifted = nobody(stack).patch(f"{URL}/{live['id']}", json={"budget": None}, headers=bearer(test))
    problem(lifted, "input_invalid", "/mode")


def test_projects_are_made_listed_and_reached_from_where_they_were_made(stack: Stack, keys: Keys) -> None:
    outer = keys.mint(project=fresh()).text
    name, body = fresh(), {"name": fresh()}
    first = post(stack, "/v1/projects", {"name": name}, outer, idempotency=name)
    assert first.status_code == 201, first.text
    project = first.json()
    assert set(project) == {"id", "object", "name", "created_at"} and project["object"] == "project"
    again = post(stack, "/v1/projects", {"name": name}, outer, idempotency=name)
    assert again.json() == project and again.headers["idempotent-replayed"] == "true"
    problem(post(stack, "/v1/projects", {"name": name}, outer), "input_invalid", "/name")
    problem(post(stack, "/v1/projects", {"name": "a/b"}, outer), "input_invalid", "/name")
    problem(post(stack, "/v1/projects", {}, outer), "input_invalid", "/name")
    problem(post(stack, "/v1/projects", body, keys.mint("jobs:read").text), "scope_missing")

    def seen(key: str) -> list[str]:
        answer = nobody(stack).get("/v1/projects?limit=200", headers=bearer(key))
        return [one["id"] for one in answer.json()["data"]]

    url = f"/v1/projects/{project['id']}"
    assert project["id"] in seen(outer) and len(seen(outer)) == 2
    assert nobody(stack).get(url, headers=bearer(outer)).json() == project
    # Keys of the default project are the operators'; those of any third one see nothing of it.
    assert nobody(stack).get(url, headers=bearer(KEY)).json() == project
    third = keys.mint(project=fresh()).text
    assert project["id"] not in seen(third)
    problem(nobody(stack).get(url, headers=bearer(third)), "not_found")
    problem(post(stack, URL, {"name": "x", "project_id": project["id"]}, third), "not_found")

    inner = made(stack, key=outer, project_id=project["id"])
    assert inner["project_id"] == project["id"] and works(stack, inner["key"])
    listed = nobody(stack).get(f"{URL}?project_id={project['id']}", headers=bearer(outer)).json()["data"]
    assert [one["id"] for one in listed] == [inner["id"]]
    problem(nobody(stack).get(f"{URL}?project_id={project['id']}", headers=bearer(third)), "not_found")
    problem(nobody(stack).get(f"{URL}/{inner['id']}", headers=bearer(third)), "not_found")
    problem(nobody(stack).delete(f"{URL}/{inner['id']}", headers=bearer(third)), "not_found")
    ended = nobody(stack).delete(f"{URL}/{inner['id']}", headers=bearer(outer))
    assert ended.json()["revoked_at"] is not None


@pytest.mark.parametrize("path", [URL, "/v1/projects"])
def test_pages_hold_each_once_newest_first(stack: Stack, keys: Keys, path: str) -> None:
    admin = keys.mint(project=fresh()).text
    mine = [made(stack, path, admin, name=fresh())["id"] for _ in range(5)]
    found: list[str] = []
    url: str | None = f"{path}?limit=2"
    while url:
        answer = nobody(stack).get(url, headers=bearer(admin))
        page = answer.json()
        assert len(page["data"]) <= 2 and page["has_more"] == (page["next_cursor"] is not None)
        found += [one["id"] for one in page["data"]]
        assert ("link" in answer.headers) == page["has_more"]
        url = f"{path}?limit=2&cursor={page['next_cursor']}" if page["has_more"] else None
    assert found[:5] == mine[::-1] and len(set(found)) == 6
    problem(nobody(stack).get(f"{path}?cursor=x", headers=bearer(admin)), "invalid_cursor")
    problem(nobody(stack).get(f"{path}?limit=0", headers=bearer(admin)), "input_invalid", "/limit")
    problem(nobody(stack).get(f"{path}?page=2", headers=bearer(admin)), "unknown_field", "/page")


def laneway(stack: Stack, *words: str) -> Result:
    """The command line on the stack's database."""
    return CliRunner().invoke(keys_command, words, env=stack.environment)


def test_keys_from_the_command_line(stack: Stack) -> None:
    """Made, listed and ended there, each told in the audit as nobody's key's; what is wrong is named by its option."""
    project = fresh()
    for option, text in (("--mode", "dry"), ("--scope", "jobs:all"), ("--project", "a/b"), ("--name", "")):
        given = {"--name": "from a shell", "--project": project, option: text}
        refused = laneway(stack, "create", *(word for pair in given.items() for word in pair))
        assert refused.exit_code == 2 and option in refused.output, refused.output
    made = laneway(
        stack, "create", "--name", "from a shell", "--project", project, "--scope", "ops:read", "--scope", "jobs:read",
        "--mode", "test",
    )  # fmt: skip
    text = made.stdout.strip()
    assert made.exit_code == 0 and text.startswith("lw_test_") and works(stack, text)
    (line,) = [one for one in laneway(stack, "list").stdout.splitlines() if text[:12] in one and "shell" in one]
    key_id = line.split()[0]
    assert "jobs:read,ops:read" in line and audit(stack, text) == [("keys.created", [key_id])]
    assert laneway(stack, "revoke", key_id).exit_code == 0
    until(lambda: not works(stack, text), 5)
    assert laneway(stack, "revoke", key_id).exit_code == 1


def test_who_made_rotated_changed_and_ended_a_key_stands_in_the_audit(stack: Stack, keys: Keys) -> None:
    admin = keys.mint(project=fresh()).text
    project = made(stack, "/v1/projects", admin, name=fresh())
    key = made(stack, key=admin)
    new = post(stack, f"{URL}/{key['id']}/rotate", {"grace": "0s"}, admin).json()
    nobody(stack).patch(f"{URL}/{new['id']}", json={"budget": {"day_usd": "1.5"}}, headers=bearer(admin))
    nobody(stack).delete(f"{URL}/{new['id']}", headers=bearer(admin))
    nobody(stack).delete(f"{URL}/{new['id']}", headers=bearer(admin))
    # The first entry tells of the key that the test made past HTTP.
    assert audit(stack, admin)[::-1][1:] == [
        ("projects.created", [project["id"]]),
        ("keys.created", [key["id"]]),
        ("keys.rotated", [key["id"], new["id"]]),
        ("keys.budget_changed", [new["id"], "day_usd=1.500000000"]),
        ("keys.revoked", [new["id"]]),
    ]
    entry = nobody(stack).get("/v1/audit", headers=bearer(admin)).json()["data"][0]
    assert entry["key_id"] is not None and entry["count"] == 0
