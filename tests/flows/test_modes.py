"""A job in each mode: waited for, polled, called back."""

from __future__ import annotations

import time
from uuid import uuid4

import orjson
from standardwebhooks import Webhook

from tests.stack import Stack, until


def test_a_waited_job_answers_201_with_its_output(stack: Stack) -> None:
    response = stack.post("noop", {"n": 7}, wait=20)
    job = response.json()
    assert response.status_code == 201
    assert (job["status"], job["output"], job["terminal"]) == ("succeeded", {"n": 7}, True)
    assert response.headers["location"] == f"/v1/jobs/{job['id']}"
    assert response.headers["preference-applied"] == "wait=20"


def test_an_asynchronous_job_answers_202_and_is_polled(stack: Stack) -> None:
    response = stack.post("marks", {"journal": stack.journal, "name": "x", "steps": 2, "step_s": 0.2})
    job = response.json()
    assert response.status_code == 202
    assert int(response.headers["retry-after"]) >= 1
    assert stack.ended(job["id"])["output"] == {"n": 2}


def test_a_wait_that_is_too_short_answers_202_and_the_job_goes_on(stack: Stack) -> None:
    response = stack.post("marks", {"journal": stack.journal, "name": "x", "steps": 1, "step_s": 1.5}, wait=0)
    assert response.status_code == 202
    assert stack.ended(response.json()["id"])["status"] == "succeeded"


def test_a_webhook_is_signed_and_tells_the_end(stack: Stack) -> None:
    secret = "whsec_" + "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTMy"
    path = f"/{uuid4().hex}"
    url = stack.hooks.answer(path)
    job = stack.submit("noop", {"n": 1}, webhook={"url": url, "secret": secret})
    until(lambda: stack.hooks.received(path))
    (arrival,) = stack.hooks.received(path)
    body = arrival["body"] if isinstance(arrival["body"], str) else orjson.dumps(arrival["body"]).decode()
    told = Webhook(secret).verify(body, arrival["headers"])
    assert told["type"] == "job.succeeded"
    assert told["data"]["id"] == job["id"]
    assert told["data"]["output"] == {"n": 1}
    until(lambda: stack.job(job["id"])["webhook_delivery"] == "succeeded")


def test_a_poll_with_the_known_revision_is_304_and_a_long_poll_returns_at_the_next(stack: Stack) -> None:
    job = stack.submit("marks", {"journal": stack.journal, "name": "x", "steps": 1, "step_s": 1.0})
    until(lambda: stack.job(job["id"])["status"] == "running")
    tag = stack.client.get(f"/v1/jobs/{job['id']}").headers["etag"]
    same = stack.client.get(f"/v1/jobs/{job['id']}", headers={"If-None-Match": tag})
    assert (same.status_code, same.content) == (304, b"")
    began = time.monotonic()
    later = stack.client.get(f"/v1/jobs/{job['id']}", headers={"If-None-Match": tag, "Prefer": "wait=20"})
    assert later.status_code == 200
    assert later.json()["status"] == "succeeded"
    assert time.monotonic() - began < 15
