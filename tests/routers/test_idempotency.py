"""Idempotency-Key: the same request again is the same job, whatever happened in between."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.routers.support import Keys, alone, echo, fresh, problem, submitted, untouched
from tests.stack import Stack, bearer


def replayed(response: httpx.Response) -> bool:
    return response.headers.get("idempotent-replayed") == "true"


def test_the_same_request_again_is_the_same_job(stack: Stack) -> None:
    key = fresh()
    first = submitted(stack, '{"input":{"value":1},"tags":["a"]}', Idempotency_Key=key)
    again = submitted(stack, ' {"tags": ["a"],  "input": {"value": 1}}', Idempotency_Key=key, Prefer="wait=20")
    assert (first.status_code, replayed(first)) == (202, False)
    assert (again.status_code, replayed(again)) == (201, True)
    assert first.json()["id"] == again.json()["id"]
    assert again.headers["location"] == first.headers["location"]
    assert again.json()["output"] == {"value": 1}


def test_another_body_under_the_key_is_refused(stack: Stack) -> None:
    key = fresh()
    first = submitted(stack, '{"input":{"value":1}}', Idempotency_Key=key)
    with untouched(stack):
        problem(submitted(stack, '{"input":{"value":2}}', Idempotency_Key=key), "idempotency_key_reused")
        problem(submitted(stack, '{"input":{"value":1},"priority":5}', Idempotency_Key=key), "idempotency_key_reused")
        problem(submitted(stack, '{"input":{"wrong":1}}', Idempotency_Key=key), "idempotency_key_reused")
        query = stack.client.post(
            "/v1/workflows/echo/jobs?version=1", json={"input": {"value": 1}}, headers={"Idempotency-Key": key}
        )
        problem(query, "idempotency_key_reused")
    assert submitted(stack, '{"input":{"value":1}}', Idempotency_Key=key).json()["id"] == first.json()["id"]


def test_a_number_in_another_form_is_the_same_only_where_it_is_equal(stack: Stack) -> None:
    key = fresh()
    submitted(stack, echo(2**70), Idempotency_Key=key)
    problem(submitted(stack, echo(2**70 + 1), Idempotency_Key=key), "idempotency_key_reused")
    assert replayed(submitted(stack, echo(2**70), Idempotency_Key=key))


def test_quoted_or_not_it_is_the_same_key(stack: Stack) -> None:
    key = fresh()
    first = submitted(stack, '{"input":{"value":1}}', Idempotency_Key=f'"{key}"')
    again = submitted(stack, '{"input":{"value":1}}', Idempotency_Key=key)
    assert replayed(again)
    assert first.json()["id"] == again.json()["id"]


def test_a_hundred_at_once_are_one_job(stack: Stack) -> None:
    key, headers = fresh(), dict(stack.client.headers)

    def send(n: int) -> httpx.Response:
        body = {"input": {"n": 1 if n % 10 else 2}}
        return alone(
            stack,
            "/v1/workflows/noop/jobs",
            json=body,
            headers={**headers, "Idempotency-Key": key},
        )

    with ThreadPoolExecutor(25) as pool:
        answers = list(pool.map(send, range(100)))
    good = [answer for answer in answers if answer.status_code in (201, 202)]
    assert len({answer.json()["id"] for answer in good}) == 1
    assert sum(not replayed(answer) for answer in good) == 1
    assert {len(good), 100 - len(good)} == {90, 10}
    for answer in answers:
        if answer not in good:
            problem(answer, "idempotency_key_reused")
    assert stack.sql("select count(*) n from idempotency where key = $1", key)[0]["n"] == 1


def test_each_route_has_keys_of_its_own(stack: Stack) -> None:
    key = fresh()
    first = stack.post("noop", {"n": 1}, key=key)
    other = stack.post("noop-fast", {"n": 1}, key=key)
    assert other.status_code == 202
    assert first.json()["id"] != other.json()["id"]


def test_what_was_refused_is_not_stored(stack: Stack) -> None:
    key = fresh()
    problem(stack.post("noop", {"n": "x"}, key=key), "input_invalid", "/input/n")
    assert stack.post("noop", {"n": 1}, key=key).status_code == 202


def test_a_failed_job_is_returned_visibly(stack: Stack) -> None:
    key = fresh()
    first = stack.post("wrong", {"kind": "input"}, key=key, wait=20)
    again = stack.post("wrong", {"kind": "input"}, key=key, wait=20)
    assert replayed(again)
    assert again.json() == first.json()
    assert again.json()["error"]["code"] == "input_invalid"


def test_a_repetition_passes_a_full_queue_and_new_rules(stack: Stack, strict: Stack, keys: Keys) -> None:
    """Of two APIs one is stricter, as after a deploy: what was accepted stays accepted."""
    own = {**bearer(keys.mint(project=fresh()).text), "Content-Type": "application/json"}
    hooked = '{"input":{"value":1},"webhook":{"url":"http://127.0.0.1:9/"}}'
    key = fresh()
    first = submitted(stack, hooked, Idempotency_Key=key, **own)
    assert first.status_code == 202
    again = submitted(strict, hooked, Idempotency_Key=key, **own)
    assert replayed(again)
    assert again.json()["id"] == first.json()["id"]
    problem(submitted(strict, hooked, Idempotency_Key=fresh(), **own), "webhook_url_forbidden", "/webhook/url")
    accepted = [submitted(strict, '{"input":{"value":1}}', Idempotency_Key=f"{key}-{n}", **own) for n in range(5)]
    # A cap of three; whether the stricter API has yet counted the other one's job is a matter of seconds.
    statuses = [answer.status_code for answer in accepted]
    assert statuses in ([202, 202, 202, 429, 429], [202, 202, 429, 429, 429])
    assert int(problem(accepted[-1], "queue_full")["retry_after_s"]) >= 1
    assert replayed(submitted(strict, '{"input":{"value":1}}', Idempotency_Key=f"{key}-0", **own))
    problem(submitted(strict, '{"input":{"value":2}}', Idempotency_Key=f"{key}-0", **own), "idempotency_key_reused")


def test_a_retry_under_a_key_happens_once(stack: Stack) -> None:
    job = stack.submit("wrong", {"kind": "input"}, wait=20)
    path, headers = f"/v1/jobs/{job['id']}/retry", {"Idempotency-Key": fresh()}
    first = stack.client.post(path, headers=headers)
    assert (first.status_code, replayed(first)) == (202, False)
    stack.ended(job["id"])
    again = stack.client.post(path, headers=headers)
    assert (again.status_code, replayed(again)) == (202, True)
    assert again.json()["attempt"] == 2
    problem(stack.client.post(path, json={"from": "start"}, headers=headers), "idempotency_key_reused")
    assert stack.client.post(path, headers={"Idempotency-Key": fresh()}).json()["attempt"] == 3
