"""Polling: tags that are true, 304 for nothing new, and reads that wait."""

from __future__ import annotations

import threading
import time
from typing import Any

import httpx
import pytest

from tests.routers.support import Gate, fresh, submitted
from tests.stack import Stack, until


def read(stack: Stack, job: dict[str, Any], **headers: str) -> tuple[httpx.Response, float]:
    began = time.monotonic()
    sent = {name.replace("_", "-"): text for name, text in headers.items()}
    answer = stack.client.get(f"/v1/jobs/{job['id']}", headers=sent)
    return answer, time.monotonic() - began


def working(stack: Stack, gate: Gate) -> dict[str, Any]:
    job = stack.submit("gated", gate.input)
    until(lambda: stack.job(job["id"])["status"] == "running")
    return stack.job(job["id"])


def test_every_answer_with_the_job_has_its_tag(stack: Stack) -> None:
    posted = stack.post("noop-fast", {"n": 1})
    got, _ = read(stack, posted.json())
    assert posted.headers["etag"] == got.headers["etag"] == f'"r{got.json()["revision"]}"'
    canceled = stack.client.post(f"/v1/jobs/{posted.json()['id']}/cancel")
    assert canceled.headers["etag"] != got.headers["etag"]
    assert canceled.headers["etag"] == read(stack, posted.json())[0].headers["etag"]


@pytest.mark.parametrize("form", ["{}", "W/{}", '"x", {}', 'W/"y",W/{}', "*"])
def test_a_known_tag_is_304(stack: Stack, form: str) -> None:
    job = stack.submit("noop", {"n": 1}, wait=20)
    tag = f'"r{job["revision"]}"'
    answer, _ = read(stack, job, If_None_Match=form.format(tag))
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)


@pytest.mark.parametrize("tag", ['"r1"', "r3", '"x"', '"r²"', '"r' + "9" * 5000 + '"', "", '"', ",", '"r-1"'])
def test_another_tag_is_answered_whole(stack: Stack, tag: str) -> None:
    job = stack.submit("noop", {"n": 1}, wait=20)
    for prefer in ({}, {b"Prefer": b"wait=1"}):
        headers = {b"If-None-Match": tag.encode("latin-1"), **prefer}
        answer = stack.client.get(f"/v1/jobs/{job['id']}", headers=headers)
        assert (answer.status_code, answer.json()["id"]) == (200, job["id"])


def test_a_read_waits_for_the_end(stack: Stack) -> None:
    gate = Gate(stack)
    job = working(stack, gate)
    threading.Timer(0.4, gate.open).start()
    answer, took = read(stack, job, Prefer="wait=20")
    assert (answer.status_code, answer.json()["status"]) == (200, "succeeded")
    assert answer.headers["preference-applied"] == "wait=20"
    assert 0.2 < took < 10


def test_a_read_with_a_tag_waits_for_the_next_revision(stack: Stack) -> None:
    job = working(stack, Gate(stack))
    threading.Timer(0.4, lambda: stack.client.post(f"/v1/jobs/{job['id']}/cancel")).start()
    answer, took = read(stack, job, If_None_Match=f'"r{job["revision"]}"', Prefer="wait=20")
    assert answer.status_code == 200
    assert answer.json()["revision"] > job["revision"]
    assert 0.2 < took < 10


def test_a_read_that_waited_for_nothing_is_304(stack: Stack) -> None:
    job = stack.submit("noop-fast", {"n": 1})
    answer, took = read(stack, job, If_None_Match='"r1"', Prefer="wait=1")
    assert (answer.status_code, answer.headers["preference-applied"]) == (304, "wait=1")
    assert 0.9 <= took < 10
    live, took = read(stack, job, Prefer="wait=1")
    assert (live.status_code, live.json()["status"]) == (200, "queued")
    assert int(live.headers["retry-after"]) >= 1
    assert 0.9 <= took < 10


def test_the_body_is_a_function_of_the_revision(stack: Stack) -> None:
    """Every body that was ever seen under a tag is the same: states, demotion, delivery of the webhook."""
    seen: dict[str, bytes] = {}
    url = stack.hooks.answer(f"/{fresh()}", {"status": 500, "times": 1}, {"delay_s": 0.3})
    given = {"journal": stack.journal, "name": "x", "steps": 2, "step_s": 0.3}
    job = stack.submit("marks", given, webhook={"url": url})

    def delivered() -> bool:
        answer, _ = read(stack, job)
        assert seen.setdefault(answer.headers["etag"], answer.content) == answer.content
        return bool(answer.json()["webhook_delivery"] == "succeeded")

    until(delivered)
    assert len(seen) >= 2


def test_reading_the_output(stack: Stack) -> None:
    job = submitted(stack, '{"input":{"value":[1,"\\ud800"]}}', Prefer="wait=20").json()
    answer = stack.client.get(f"/v1/jobs/{job['id']}/output")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.content == b'{"value":[1,"\\ud800"]}'
    same = stack.client.get(f"/v1/jobs/{job['id']}/output", headers={"If-None-Match": answer.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
