"""The project's feed: everything once, in an order in which nothing is skipped."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from app.domain import ids
from app.routers import event_shapes
from tests.flows.events import STREAM, Reading, durable, opened
from tests.routers.support import Keys, fresh, problem
from tests.stack import Stack, bearer, until

SUCCEEDED = ["job.submitted", "job.started", "job.succeeded"]


@pytest.fixture
def own(stack: Stack, keys: Keys) -> Iterator[httpx.Client]:
    """A client of a project of its own, which has no events yet."""
    key = keys.mint(project=fresh()).text
    with httpx.Client(base_url=stack.url, headers=bearer(key), timeout=60, trust_env=False) as client:
        yield client


def run(client: httpx.Client, **more: Any) -> str:
    """The id of a job that has ended."""
    body = {"input": {"n": 1}, **more}
    answer = client.post("/v1/workflows/noop/jobs", json=body, headers={"Prefer": "wait=20"})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def page(client: httpx.Client, **query: Any) -> dict[str, Any]:
    answer = client.get("/v1/events", params=query)
    assert answer.status_code == 200, answer.text
    event_shapes.EventPage.model_validate(answer.json())
    found: dict[str, Any] = answer.json()
    return found


def settled(client: httpx.Client, count: int) -> list[dict[str, Any]]:
    """The whole feed once it has so many events: each shows when no older transaction is open any more."""
    until(lambda: len(page(client, limit=200)["data"]) >= count)
    found: list[dict[str, Any]] = page(client, limit=200)["data"]
    assert len(found) == count
    return found


def streamed(stack: Stack, client: httpx.Client, **headers: str) -> AbstractContextManager[Reading]:
    sent = {"Authorization": client.headers["Authorization"], **headers}
    return opened(stack, "GET", f"{stack.url}/v1/events", sent)


def test_all_jobs_of_the_project_and_no_other(stack: Stack, own: httpx.Client) -> None:
    stack.submit("noop", {"n": 1}, wait=20)
    jobs = [run(own) for _ in range(3)]
    found = settled(own, 9)
    for job_id in jobs:
        assert [event["type"] for event in found if event["job_id"] == job_id] == SUCCEEDED
        assert found[0]["data"]["status"] == "succeeded"


def test_pages_hang_together(own: httpx.Client) -> None:
    for _ in range(3):
        run(own)
    whole, found, address = settled(own, 9), [], "/v1/events?limit=2"
    while address:
        answer = own.get(address)
        found += answer.json()["data"]
        address = answer.links.get("next", {}).get("url", "")
    assert found == whole


def test_a_stream_goes_on_and_resumes(stack: Stack, own: httpx.Client) -> None:
    def some(reading: Reading, count: int) -> list[tuple[str | None, str]]:
        return durable([next(iter(reading)) for _ in range(count)])

    run(own)
    with streamed(stack, own) as reading:
        told = some(reading, 3)
        run(own)
        told += some(reading, 2)
        last_id = reading.last_id
    run(own)
    with streamed(stack, own, **{"Last-Event-ID": last_id}) as reading:
        told += some(reading, 4)
    assert told == [(event["id"], event["type"]) for event in settled(own, 9)]


def test_missed_webhooks_are_found_again(stack: Stack, own: httpx.Client) -> None:
    url = stack.hooks.answer(f"/{fresh()}")
    first = run(own, webhook={"url": url})
    path = url.removeprefix(stack.hooks.url)
    until(lambda: stack.hooks.received(path))
    cursor = httpx.Response(200, content=stack.hooks.received(path)[0]["body"]).json()["feed_cursor"]
    second = run(own)
    settled(own, 6)
    assert [event["job_id"] for event in page(own, after=cursor)["data"]] == [second] * 3
    before = page(own, limit=2)
    assert page(own, after=before["next_cursor"], limit=1)["data"][0]["job_id"] == first


def test_nothing_is_skipped_by_who_reads_while_others_write(stack: Stack, own: httpx.Client) -> None:
    """A transaction that began to write earlier and ends later comes first, and holds what is behind it until then."""
    job_id = run(own)
    known = settled(own, 3)[-1]["id"]
    late = ids.uuid7()

    async def act() -> None:
        connection = await asyncpg.connect(stack.servers.database_url)
        try:
            async with connection.transaction():
                await connection.execute(
                    "insert into events (id, project_id, job_id, type, at, revision) "
                    "select $1, project_id, id, 'job.started', now(), 99 from jobs where id = $2",
                    late, ids.read("job", job_id),
                )  # fmt: skip
                await asyncio.to_thread(run, own)
                assert (await asyncio.to_thread(page, own, after=known))["data"] == []
        finally:
            await connection.close()

    asyncio.run(act())
    until(lambda: len(page(own, after=known)["data"]) == 4)
    found = page(own, after=known)["data"]
    assert found[0]["id"] == ids.show("evt", late)
    assert [event["type"] for event in found[1:]] == SUCCEEDED
    stack.sql("delete from events where id = $1", late)


@pytest.mark.parametrize("accept", ["application/json", STREAM])
def test_what_is_refused(stack: Stack, keys: Keys, own: httpx.Client, accept: str) -> None:
    run(own)
    foreign = settled(own, 3)[0]["id"]

    def read(headers: dict[str, str] | None = None, **query: Any) -> httpx.Response:
        return stack.client.get("/v1/events", params=query, headers={"Accept": accept, **(headers or {})})

    for wrong in (foreign, "evt_1", "7", "1-", "-1", "1-2-3", "9" * 19 + "-1", ids.show("evt", ids.uuid7())):
        problem(read(after=wrong), "invalid_cursor")
    problem(read({"Last-Event-ID": foreign}), "invalid_cursor")
    problem(read(limit=0), "input_invalid", "/limit")
    problem(read(types="x"), "unknown_field", "/types")
    problem(read(bearer(keys.mint("jobs:write").text)), "scope_missing")
    problem(read({"Authorization": ""}), "missing_key")


def test_streams_end_when_the_api_stops(stack: Stack, folder: Path) -> None:
    inner = folder / "feed"
    inner.mkdir()
    made = Stack(stack.servers, stack.provider, stack.hooks, inner, {"LANEWAY_HTTP__HEARTBEAT_S": "0.2"})
    api = made.start_api()
    try:
        with opened(made, "GET", f"{made.url}/v1/events?after=999999999999999-0", {}) as reading:
            lines = reading.response.iter_lines()
            while not next(lines).startswith(":"):
                pass
            began = time.monotonic()
            api.process.terminate()
            assert not any(line.startswith("data") for line in lines)
            assert api.process.wait(10) == 0
            assert time.monotonic() - began < 2
    finally:
        made.close()
