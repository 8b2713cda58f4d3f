"""Every refusal is a whole problem+json, whatever part of the house refuses."""

from __future__ import annotations

import pytest

from tests.routers.support import nobody, problem, submitted, untouched
from tests.stack import KEY, Stack, bearer


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/", "not_found"),
        ("GET", "/v1/nothing", "not_found"),
        ("GET", "/v1/jobs/", "not_found"),
        ("GET", "/v1/jobs/job_x", "not_found"),
        ("GET", "/v1/jobs/job_" + "0" * 26, "not_found"),
        ("GET", "/v1/jobs/job_" + "z" * 26, "not_found"),
        ("GET", "/v1/jobs/key_" + "0" * 26, "not_found"),
        ("GET", "/v1/jobs/%00", "not_found"),
        ("GET", "/v1/jobs/%ED%A0%80", "not_found"),
        ("GET", "/v1/jobs/" + "x" * 20_000, "not_found"),
        ("GET", "/v1/workflows/nothing", "not_found"),
        ("GET", "/v1/workflows/no%00op", "not_found"),
        ("GET", "/v1/workflows/noop/versions/9", "not_found"),
        ("GET", "/v1/workflows/noop/versions/%00", "not_found"),
        ("POST", "/v1/workflows/nothing/jobs", "not_found"),
        ("POST", "/v1/workflows/%ED%A0%80/jobs", "not_found"),
        ("POST", "/v1/workflows/noop/jobs?version=9", "not_found"),
        ("POST", "/v1/workflows/noop/jobs?version=%00", "not_found"),
        ("DELETE", "/v1/jobs", "method_not_allowed"),
        ("PUT", "/v1/workflows/noop/jobs", "method_not_allowed"),
        ("GET", "/v1/workflows/noop/jobs", "method_not_allowed"),
        ("GET", "/v1/jobs/job_x/cancel", "method_not_allowed"),
        ("PATCH", "/livez", "method_not_allowed"),
    ],
)
def test_what_is_not_there(stack: Stack, method: str, path: str, code: str) -> None:
    with untouched(stack):
        answer = stack.client.request(method, path, json={"input": {"n": 1}} if method == "POST" else None)
    problem(answer, code)
    assert ("allow" in answer.headers) == (code == "method_not_allowed")


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
def test_another_media_type(stack: Stack, kind: str) -> None:
    headers = {"Content-Type": kind} if kind else {}
    with untouched(stack):
        answer = stack.client.post("/v1/workflows/noop/jobs", content=b'{"input":{"n":1}}', headers=headers)
    problem(answer, "unsupported_media_type")


def test_a_compressed_body_is_refused_by_name(stack: Stack) -> None:
    with untouched(stack):
        problem(submitted(stack, b"\x1f\x8b", Content_Encoding="gzip"), "unsupported_media_type")


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.x+json"])
def test_json_under_its_other_names(stack: Stack, kind: str) -> None:
    headers = {"Content-Type": kind}
    answer = stack.client.post("/v1/workflows/noop/jobs", content=b'{"input":{"n":1}}', headers=headers)
    assert answer.status_code == 202


def test_a_fault_of_ours_is_a_problem_with_the_request_id(stack: Stack) -> None:
    secret = "a text that no log may hold"
    stack.sql("alter table job_webhooks rename to job_webhooks_away")
    try:
        hook = {"url": stack.hooks.url}
        answer = stack.client.post(
            "/v1/workflows/echo/jobs",
            json={"input": {"value": secret}, "webhook": hook},
            headers={"X-Request-Id": "r-500"},
        )
    finally:
        stack.sql("alter table job_webhooks_away rename to job_webhooks")
    assert problem(answer, "internal")["request_id"] == "r-500"
    logs = "".join(process.log.read_text() for process in stack.processes)
    assert "r-500" in logs
    assert secret not in logs


@pytest.mark.parametrize("given", ["abc-123", "A.b_c", "x" * 128])
def test_a_request_id_is_taken_over(stack: Stack, given: str) -> None:
    answer = stack.client.get("/livez", headers={"X-Request-Id": given})
    assert answer.headers.get_list("x-request-id") == [given]


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "<script>", "ä"])
def test_a_bad_request_id_is_replaced(stack: Stack, given: str) -> None:
    answer = stack.client.get("/livez", headers={b"X-Request-Id": given.encode("latin-1")})
    (found,) = answer.headers.get_list("x-request-id")
    assert found
    assert found != given


def test_a_bad_query_is_a_problem_that_names_the_parameter(stack: Stack) -> None:
    with untouched(stack):
        body = {"input": {"n": 1}}
        problem(
            stack.client.post("/v1/workflows/noop/jobs?validate_only=maybe", json=body),
            "input_invalid",
            "/validate_only",
        )
        problem(
            stack.client.post("/v1/workflows/noop/jobs?validateonly=true", json=body), "unknown_field", "/validateonly"
        )


def test_the_key_is_asked_for_before_the_body(stack: Stack) -> None:
    url = "/v1/workflows/noop/jobs"
    problem(nobody(stack).post(url, content=b"{", headers={"Content-Type": "text/plain"}), "missing_key")
    problem(
        nobody(stack).post(url, content=b"{", headers={**bearer(KEY), "Content-Type": "text/plain"}),
        "unsupported_media_type",
    )
