"""Events of a job over HTTP: pages, streams of what has ended, resumption, negotiation, what is refused."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from app.domain import ids
from app.routers import event_shapes
from tests.flows.events import STREAM, Event, durable, following, opened, submitting
from tests.routers.support import Gate, Keys, echo, fresh, problem, submitted
from tests.stack import Stack, bearer, until

SUCCEEDED = ["job.submitted", "job.started", "job.succeeded"]


@pytest.fixture(scope="module")
def ended(stack: Stack) -> str:
    """A job that has ended: three events."""
    return str(stack.submit("noop", {"n": 1}, wait=20)["id"])


def page(stack: Stack, job_id: str, **query: Any) -> dict[str, Any]:
    """A page of its events."""
    answer = stack.client.get(f"/v1/jobs/{job_id}/events", params=query)
    assert answer.status_code == 200, answer.text
    event_shapes.EventPage.model_validate(answer.json())
    found: dict[str, Any] = answer.json()
    return found


def followed(stack: Stack, job_id: str, last_id: str | None = None) -> list[Event]:
    """The whole of its stream."""
    with following(stack, job_id, last_id) as reading:
        return list(reading)


def test_a_page_tells_what_happened(stack: Stack, ended: str) -> None:
    found = page(stack, ended)
    assert [event["type"] for event in found["data"]] == SUCCEEDED
    assert [event["sequence"] for event in found["data"]] == [event["revision"] for event in found["data"]] == [1, 2, 3]
    assert {event["job_id"] for event in found["data"]} == {ended}
    assert (found["next_cursor"], found["has_more"]) == (None, False)
    job = stack.job(ended)
    for event in found["data"]:
        assert event["data"] == {name: job[name] for name in event["data"].keys() & job.keys() - {"urls"}} | {
            "thin": True,
            "urls": {name: job["urls"][name] for name in ("output", "self")},
        }


@pytest.mark.parametrize("name", ["after", "cursor"])
def test_pages_hang_together(stack: Stack, ended: str, name: str) -> None:
    first = page(stack, ended, limit=2)
    assert first["has_more"]
    assert first["next_cursor"] == first["data"][-1]["id"]
    second = page(stack, ended, limit=2, **{name: first["next_cursor"]})
    assert [event["type"] for event in first["data"] + second["data"]] == SUCCEEDED
    assert not second["has_more"]
    assert page(stack, ended, **{name: second["data"][-1]["id"]})["data"] == []


def test_a_link_leads_to_the_next_page(stack: Stack, ended: str) -> None:
    address, found = f"/v1/jobs/{ended}/events?limit=1", []
    while address:
        answer = stack.client.get(address)
        found += answer.json()["data"]
        address = answer.links.get("next", {}).get("url", "")
    assert [event["type"] for event in found] == SUCCEEDED


def test_an_ended_job_answers_its_events_and_its_end(stack: Stack, ended: str) -> None:
    with following(stack, ended) as reading:
        events = list(reading)
    assert [event.name for event in events] == ["job", "job", "job", "end"]
    assert [event.data for event in events[:3]] == page(stack, ended)["data"]
    assert [event.id for event in events[:3]] == [event.data["id"] for event in events[:3]]
    assert events[3].id is None
    assert events[3].data == stack.job(ended)
    assert reading.retry_ms == 1000
    headers = reading.response.headers
    assert headers["cache-control"] == "no-store, no-transform"
    assert headers["x-accel-buffering"] == "no"
    assert "content-encoding" not in headers


def test_every_event_has_the_form_of_the_standard(stack: Stack) -> None:
    """One line of data, whatever the payload: line ends of all kinds, NUL, lone surrogates."""
    value = "a\nb\rc\r\nd\u2028e\u0085f\x00g\ud800: h"
    job = submitted(stack, echo(value), Prefer="wait=20").json()
    with following(stack, job["id"]) as reading:
        raw = reading.response.read().decode()
    *blocks, rest = raw.split("\n\n")
    assert (blocks[0], rest) == ("retry: 1000", "")
    names = []
    for block in blocks[1:]:
        lines = [line.partition(": ") for line in block.split("\n")]
        names.append([name for name, _, _ in lines])
        assert len(block.splitlines()) == len(lines)
    assert names == [["event", "data", "id"]] * 3 + [["event", "data"]]
    assert followed(stack, job["id"])[-1].data["output"] == {"value": value}


def test_resumption_has_no_gap_and_no_repetition(stack: Stack, ended: str) -> None:
    whole = followed(stack, ended)
    for place, event in enumerate(whole[:-1]):
        rest = followed(stack, ended, event.id)
        assert [one.name for one in rest] == [one.name for one in whole[place + 1 :]]
        assert durable(rest) == durable(whole[place + 1 :])


def test_the_header_is_newer_than_the_address(stack: Stack, ended: str) -> None:
    first, second, _ = (event["id"] for event in page(stack, ended)["data"])
    address = f"{stack.url}/v1/jobs/{ended}/events?after={first}"
    for headers, count in (({}, 2), ({"Last-Event-ID": second}, 1), ({"Last-Event-ID": ""}, 2)):
        with opened(stack, "GET", address, headers) as reading:
            assert len(durable(list(reading))) == count


@pytest.mark.parametrize(
    ("accept", "streamed"),
    [
        ("text/event-stream", True),
        ("TEXT/Event-Stream ; q=0.4", True),
        ("text/event-stream, */*", True),
        ("text/event-stream, application/json;q=0.5", True),
        ("text/event-stream;q=0.5, application/json", False),
        ("application/json, text/event-stream", False),
        ("text/event-stream, application/json", True),
        ("text/event-stream;q=0", False),
        ("text/html", False),
        ("*/*", False),
        ("", False),
    ],
)
def test_the_client_says_which_form_it_wants(stack: Stack, ended: str, accept: str, streamed: bool) -> None:
    answer = stack.client.get(f"/v1/jobs/{ended}/events", headers={"Accept": accept})
    assert answer.headers["content-type"].startswith(STREAM if streamed else "application/json")


@pytest.mark.parametrize("accept", ["application/json", STREAM])
def test_what_is_refused_is_an_ordinary_problem(stack: Stack, keys: Keys, ended: str, accept: str) -> None:
    other = stack.submit("noop", {"n": 1}, wait=20)["id"]
    foreign = page(stack, other)["data"][0]["id"]

    def read(job_id: str, headers: dict[str, str] | None = None, **query: Any) -> httpx.Response:
        sent = {"Accept": accept, **(headers or {})}
        return stack.client.get(f"/v1/jobs/{job_id}/events", params=query, headers=sent)

    for unknown in (ids.show("job", ids.uuid7()), "job_1", ended + "x"):
        problem(read(unknown), "not_found")
    for wrong in (foreign, "evt_1", "7", ids.show("evt", ids.uuid7()), ended, "\x00"):
        problem(read(ended, after=wrong), "invalid_cursor")
    problem(read(ended, {"Last-Event-ID": foreign}), "invalid_cursor")
    problem(read(ended, {"Last-Event-ID": "3"}), "invalid_cursor")
    problem(read(ids.show("job", ids.uuid7()), {"Last-Event-ID": foreign}), "not_found")
    problem(read(ended, limit=201), "input_invalid", "/limit")
    problem(read(ended, lmit=2), "unknown_field", "/lmit")
    stranger = bearer(keys.mint(project="elsewhere").text)
    problem(read(ended, stranger), "not_found")
    problem(read(other, {**stranger, "Last-Event-ID": foreign}), "not_found")
    problem(read(ended, bearer(keys.mint("jobs:write").text)), "scope_missing")
    problem(read(ended, {"Authorization": ""}), "missing_key")


def test_a_job_that_is_no_longer_kept(stack: Stack) -> None:
    job = stack.submit("noop", {"n": 1}, wait=20, retain_for="1ms")
    for accept in ("application/json", STREAM):
        answer = stack.client.get(f"/v1/jobs/{job['id']}/events", headers={"Accept": accept})
        assert problem(answer, "result_expired")["job"]["id"] == job["id"]


def test_a_submit_streams_its_job(stack: Stack) -> None:
    with submitting(stack, "noop", {"n": 7}) as reading:
        events = list(reading)
    assert reading.response.headers["location"] == f"/v1/jobs/{events[-1].data['id']}"
    assert [kind for _, kind in durable(events)] == SUCCEEDED
    assert events[-1].name == "end"
    assert events[-1].data["output"] == {"n": 7}
    assert durable(followed(stack, events[-1].data["id"])) == durable(events)


def test_a_repeated_submit_streams_the_same_job(stack: Stack) -> None:
    key = {"Idempotency-Key": fresh()}
    with submitting(stack, "noop", {"n": 1}, key) as reading:
        first = list(reading)
    with submitting(stack, "noop", {"n": 1}, key) as reading:
        assert [event.id for event in reading] == [event.id for event in first]
    assert reading.response.headers["idempotent-replayed"] == "true"
    with submitting(stack, "noop", {"n": 1}, {**key, "Last-Event-ID": str(first[1].id)}) as reading:
        assert [event.id for event in reading] == [event.id for event in first[2:]]
    other = stack.client.post("/v1/workflows/noop/jobs", json={"input": {"n": 2}}, headers={**key, "Accept": STREAM})
    problem(other, "idempotency_key_reused")


def test_an_equal_job_is_streamed(stack: Stack) -> None:
    dedupe = {"dedupe": {"key": fresh()}}
    job = stack.submit("noop", {"n": 1}, wait=20, **dedupe)
    with submitting(stack, "noop", {"n": 1}, **dedupe) as reading:
        assert list(reading)[-1].data["id"] == job["id"]
    assert reading.response.headers["laneway-deduplicated"] == "true"


def test_a_submit_is_refused_as_without_a_stream(stack: Stack) -> None:
    def post(workflow: str, body: Any, **query: Any) -> httpx.Response:
        path = f"/v1/workflows/{workflow}/jobs"
        return stack.client.post(path, json=body, params=query, headers={"Accept": STREAM})

    problem(post("noop", {"input": {"n": "x"}}), "input_invalid", "/input/n")
    problem(post("nowhere", {"input": {}}), "not_found")
    problem(post("noop", {"input": {"n": 1}}, validate_only=True), "not_streamable")


def test_a_watcher_sees_each_move(stack: Stack) -> None:
    gate = Gate(stack)
    with submitting(stack, "gated", gate.input) as reading:
        events = iter(reading)
        assert [next(events).data["type"] for _ in range(2)] == SUCCEEDED[:2]
        gate.open()
        assert next(events).data["type"] == SUCCEEDED[2]
        assert next(events).name == "end"
        assert list(events) == []


def test_a_cancel_ends_the_stream(stack: Stack) -> None:
    with submitting(stack, "noop-fast", {"n": 1}) as reading:
        events = iter(reading)
        job_id = next(events).data["job_id"]
        assert stack.client.post(f"/v1/jobs/{job_id}/cancel").status_code == 200
        rest = list(events)
    assert [kind for _, kind in durable(rest)] == ["job.canceled"]
    assert (rest[-1].name, rest[-1].data["status"]) == ("end", "canceled")


def test_a_retried_job_goes_on(stack: Stack) -> None:
    """An end that was not the last is an event like others; there is one `end`."""
    job = stack.submit("wrong", {"kind": "input"}, wait=20)
    first = followed(stack, job["id"])
    assert [kind for _, kind in durable(first)] == ["job.submitted", "job.started", "job.failed"]
    assert first[-1].data["error"]["code"] == job["error"]["code"]
    assert stack.client.post(f"/v1/jobs/{job['id']}/retry", json={}).status_code == 202
    rest = followed(stack, job["id"], first[-2].id)
    assert [kind for _, kind in durable(rest)] == ["job.retried", "job.failed"]
    assert [event.name for event in followed(stack, job["id"])] == ["job"] * 5 + ["end"]


def test_many_watch_one_job(stack: Stack) -> None:
    gate = Gate(stack)
    job = stack.submit("gated", gate.input)
    with ThreadPoolExecutor(20) as pool:
        reading = [pool.submit(followed, stack, job["id"]) for _ in range(20)]
        until(lambda: stack.job(job["id"])["status"] == "running")
        gate.open()
        told = [one.result() for one in reading]
    assert [durable(events) for events in told] == [durable(told[0])] * 20
    assert {events[-1].name for events in told} == {"end"}
