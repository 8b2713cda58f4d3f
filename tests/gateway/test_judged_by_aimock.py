"""The whole service against `aimock`: it fails by chance and by plan, keeps a journal, and `llmock` judges by that.

It has no limit of its own: what it says of one when it refuses (60 requests and 150,000 tokens a minute) is not true.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
from llmock.verdict import Verdict

from tests.gateway.aimock import Aimock, installed, running, verdict_on
from tests.gateway.judging import CHARGES, stack_before
from tests.stack import ENDED, Stack, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]

_JOBS = 60
_ANSWER = {"content": "Some words on what was asked, enough of them for a stream to have several pieces."}


def _refusal(status: int, kind: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": f"a planned {kind}", "type": kind}, "status": status, **more}


# What is said to items by a word in their names; of several that fit, the first counts.
_FIXTURES: list[dict[str, Any]] = [
    {"match": {"userMessage": "always limited"}, "response": _refusal(429, "rate_limit_error", retryAfter=3)},
    {"match": {"userMessage": "always cut"}, "response": _ANSWER, "truncateAfterChunks": 2},
    {"match": {"userMessage": "refused"}, "response": _refusal(400, "invalid_request_error")},
    *(
        {
            "match": {"userMessage": "limited", "sequenceIndex": time},
            "response": _refusal(429, "rate_limit_error", retryAfter=3),
        }
        for time in range(3)
    ),
    {"match": {"userMessage": "away", "sequenceIndex": 0}, "response": _refusal(503, "server_error")},
    {"match": {"userMessage": "away", "sequenceIndex": 1}, "response": _refusal(529, "overloaded_error")},
    *(
        {"match": {"userMessage": "cut", "sequenceIndex": time}, "response": _ANSWER, "truncateAfterChunks": 2}
        for time in range(3)
    ),
    {"match": {}, "response": _ANSWER},
]
_WORDS = {3: "refused", 7: "limited", 11: "away", 15: "cut", 21: "cut"}


@pytest.fixture(scope="module")
def aimock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aimock]:
    folder = tmp_path_factory.mktemp("aimock")
    with running(installed(folder), _FIXTURES, folder) as made:
        yield made


@pytest.fixture
def stack(aimock: Aimock) -> Iterator[Stack]:
    with stack_before(f"http://127.0.0.1:{aimock.port}/v1", f"http://127.0.0.1:{aimock.port}/v1") as made:
        yield made


def test_nothing_of_what_llmock_warns_of(stack: Stack, aimock: Aimock) -> None:
    aimock.chaos(rateLimitRate=0.06, dropRate=0.06, malformedRate=0.04, disconnectRate=0.04)
    jobs = {}
    for n in range(_JOBS):
        # Every third item streams, and with it every item that is to be cut.
        workflow = "judged-stream" if n % 3 == 0 else "judged"
        given = {"name": f"item {n} {_WORDS.get(n, '')}", "model": "anthropic" if n % 2 else "openai"}
        jobs[stack.submit(workflow, given)["id"]] = given["name"]
    until(lambda: all(stack.job(job)["status"] in ENDED for job in jobs), 360)
    journal = aimock.journal()
    verdict = verdict_on(journal)
    assert not CHARGES & _codes(verdict), verdict.render()
    assert verdict.faults >= 10
    assert {entry["path"] for entry in journal} == {"/v1/chat/completions", "/v1/messages"}
    failed = {name: stack.job(job)["error"] for job, name in jobs.items() if stack.job(job)["status"] != "succeeded"}
    # Only what was refused as input is lost; by chance four tries of one in a thousand fail.
    assert failed.pop("item 3 refused")["class"] == "input"
    assert len(failed) <= 1, failed


def _codes(verdict: Verdict) -> set[str]:
    return {finding.code for finding in verdict.findings}


def test_the_judge_sees_who_does_not_behave(aimock: Aimock) -> None:
    """Else a clean verdict would say nothing."""
    aimock.chaos(rateLimitRate=0.0)
    before = len(aimock.journal())
    for item in ("always refused", "always limited", "always cut"):
        ask = {"model": "m", "stream": "cut" in item, "messages": [{"role": "user", "content": item}]}
        for _ in range(1 if "cut" in item else 2):
            with suppress(httpx.RemoteProtocolError):
                aimock.http.post("/v1/chat/completions", json=ask)
    found = _codes(verdict_on(aimock.journal()[before:]))
    assert {"retried_non_retryable", "retry_after_ignored", "truncated_stream_accepted"} <= found
