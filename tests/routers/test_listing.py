"""Lists: pages that neither skip nor repeat, and every filter."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.routers.support import Keys, fresh, problem
from tests.stack import Stack, bearer, until


@pytest.fixture(scope="module")
def shelf(stack: Stack, keys: Keys) -> Iterator[httpx.Client]:
    """A project of its own with twelve jobs: seven succeeded, two failed, three queued."""
    with httpx.Client(base_url=stack.url, headers=bearer(keys.mint(project=fresh()).text), trust_env=False) as client:
        for n in range(7):
            more = {"tags": ["all", f"n{n}"], "metadata": {"n": str(n), "kind": "good"}}
            client.post("/v1/workflows/noop/jobs", json={"input": {"n": n}, **more}).raise_for_status()
        for kind in ("input", "processing"):
            client.post("/v1/workflows/wrong/jobs", json={"input": {"kind": kind}, "tags": ["all"]}).raise_for_status()
        for _ in range(3):
            body = {"input": {"n": 1}, "tags": ["日本", "all"], "metadata": {"ü key": "a b&c"}}
            client.post("/v1/workflows/noop-fast/jobs", json=body).raise_for_status()
        until(lambda: len(listed(client, status="succeeded,failed")) == 9)
        yield client


def page(client: httpx.Client, **query: Any) -> dict[str, Any]:
    answer = client.get("/v1/jobs", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def listed(client: httpx.Client, **query: Any) -> list[dict[str, Any]]:
    data: list[dict[str, Any]] = page(client, **query)["data"]
    return data


def test_newest_first_and_whole(shelf: httpx.Client) -> None:
    found = page(shelf)
    assert (len(found["data"]), found["has_more"], found["next_cursor"]) == (12, False, None)
    created = [job["created_at"] for job in found["data"]]
    assert created == sorted(created, reverse=True)
    one = shelf.get(f"/v1/jobs/{found['data'][-1]['id']}").json()
    assert found["data"][-1] == {name: value for name, value in one.items() if name not in ("input", "output")}


@pytest.mark.parametrize("limit", [1, 5, 11, 12])
def test_pages_neither_skip_nor_repeat(shelf: httpx.Client, limit: int) -> None:
    whole = [job["id"] for job in listed(shelf)]
    walked: list[str] = []
    query: dict[str, Any] = {"limit": limit}
    while True:
        found = page(shelf, **query)
        walked += [job["id"] for job in found["data"]]
        assert found["has_more"] == (found["next_cursor"] is not None)
        if not found["has_more"]:
            break
        query["cursor"] = found["next_cursor"]
    assert walked == whole


def test_the_link_leads_to_the_next_page_under_the_same_filter(shelf: httpx.Client) -> None:
    answer = shelf.get("/v1/jobs", params={"tag": "日本", "metadata.ü key": "a b&c", "limit": 2})
    link = answer.headers["link"]
    assert link.endswith('; rel="next"')
    target = link[1 : link.index(">")]
    assert parse_qs(urlsplit(target).query)["cursor"] == [answer.json()["next_cursor"]]
    rest = shelf.get(target)
    assert (len(rest.json()["data"]), rest.json()["has_more"], "link" in rest.headers) == (1, False, False)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"workflow": "noop"}, 7),
        ({"workflow": "nothing"}, 0),
        ({"status": "succeeded"}, 7),
        ({"status": "failed"}, 2),
        ({"status": "queued,failed"}, 5),
        ({"status": "running"}, 0),
        ({"tag": "all"}, 12),
        ({"tag": "n3"}, 1),
        ({"tag": "日本"}, 3),
        ({"metadata.n": "3"}, 1),
        ({"metadata.kind": "good"}, 7),
        ({"metadata.kind": "good", "metadata.n": "4"}, 1),
        ({"metadata.kind": "bad"}, 0),
        ({"metadata.ü key": "a b&c"}, 3),
        ({"error_code": "input_invalid"}, 1),
        ({"error_class": "processing"}, 1),
        ({"disposition": "quarantine"}, 1),
        ({"disposition": "dead_letter"}, 1),
        ({"workflow": "noop", "tag": "n1", "status": "succeeded"}, 1),
        ({"tag": "' or 1=1 --"}, 0),
        ({"metadata.' or '1": "x"}, 0),
    ],
)
def test_a_filter(shelf: httpx.Client, query: dict[str, str], count: int) -> None:
    assert len(listed(shelf, **query)) == count


def test_by_time(shelf: httpx.Client) -> None:
    whole = listed(shelf)
    middle = whole[5]["created_at"]
    assert [job["id"] for job in listed(shelf, created_after=middle)] == [job["id"] for job in whole[:5]]
    assert [job["id"] for job in listed(shelf, created_before=middle)] == [job["id"] for job in whole[6:]]
    east = datetime.fromisoformat(middle).astimezone(tz=_east()).isoformat()
    assert len(listed(shelf, created_after=east)) == 5
    for edge in ("0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00"):
        assert len(listed(shelf, created_after=edge)) == 12
        assert listed(shelf, created_before=edge) == []
    for edge in ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00", datetime(3000, 1, 1, tzinfo=UTC).isoformat()):
        assert listed(shelf, created_after=edge) == []
        assert len(listed(shelf, created_before=edge)) == 12


def _east() -> Any:
    return (datetime.now(UTC) + timedelta(0)).astimezone().tzinfo


BAD = [
    ({"limit": "0"}, "input_invalid", "/limit"),
    ({"limit": "201"}, "input_invalid", "/limit"),
    ({"limit": "x"}, "input_invalid", "/limit"),
    ({"limit": "9" * 5000}, "input_invalid", "/limit"),
    ({"status": "done"}, "input_invalid", "/status"),
    ({"status": "queued,\x00"}, "input_invalid", "/status"),
    ({"created_after": "yesterday"}, "input_invalid", "/created_after"),
    ({"created_after": "2026-01-01"}, "input_invalid", "/created_after"),
    ({"created_before": "2026-01-01T00:00:00"}, "input_invalid", "/created_before"),
    ({"workflow": "a\x00"}, "input_invalid", "/workflow"),
    ({"tag": "\x00"}, "input_invalid", "/tag"),
    ({"tag": "x" * 101}, "input_invalid", "/tag"),
    ({"metadata.a": "\x00"}, "input_invalid", "/metadata.a"),
    ({"metadata.\x00": "a"}, "input_invalid", "/metadata.\x00"),
    ({"metadata.": "a"}, "input_invalid", "/metadata."),
    ({"error_class": "big"}, "input_invalid", "/error_class"),
    ({"disposition": "big"}, "input_invalid", "/disposition"),
    ({"colour": "red"}, "unknown_field", "/colour"),
    ({"metadata": "red"}, "unknown_field", "/metadata"),
    ({"cursor": "x"}, "invalid_cursor", None),
    ({"cursor": ""}, "invalid_cursor", None),
    ({"cursor": "日本"}, "invalid_cursor", None),
    ({"cursor": "A" * 10_000}, "invalid_cursor", None),
    ({"cursor": "\x00"}, "invalid_cursor", None),
]


@pytest.mark.parametrize(("query", "code", "pointer"), BAD)
def test_a_bad_query(shelf: httpx.Client, query: dict[str, str], code: str, pointer: str | None) -> None:
    problem(shelf.get("/v1/jobs", params=query), code, pointer)


@pytest.mark.parametrize(
    "raw", ["tag=%ff", "tag=%ED%A0%80", "metadata.%ff=%fe", "tag=a;b", "&&&", "=x", "tag", "tag=%"]
)
def test_a_query_in_odd_bytes(shelf: httpx.Client, raw: str) -> None:
    answer = shelf.get(f"/v1/jobs?limit=1&{raw}")
    if answer.status_code != 200:
        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
