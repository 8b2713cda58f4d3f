"""A job's callback: URL, events and secret are checked, and a secret is there when the client brought none."""

from __future__ import annotations

import base64
import time
from typing import Any
from uuid import UUID

import pytest
from standardwebhooks import Webhook

from app.clients.signature import sign
from app.domain.errors import Problem
from app.jobs.hook import derived_secret, events_error, job_webhook, secret_error

PROJECT = UUID(int=1)
OTHER = UUID(int=2)


def secret(length: int) -> str:
    return "whsec_" + base64.b64encode(bytes(length)).decode()


@pytest.mark.parametrize("length", [24, 25, 32, 64])
def test_good_secret(length: int) -> None:
    assert secret_error(secret(length)) is None
    assert secret_error(secret(length).rstrip("=")) is None


BAD = (
    "", "whsec_", secret(23), secret(65), secret(32)[6:], secret(32) + " ", "whsec_" + "ä" * 40, "whsec_!" + "A" * 43,
    "WHSEC_" + "A" * 43, "whsec_" + "A" * 41, "whsec_AA=" + "A" * 40,
)  # fmt: skip


@pytest.mark.parametrize("text", BAD)
def test_bad_secret_is_refused_and_not_repeated(text: str) -> None:
    wrong = secret_error(text)
    assert wrong
    assert len(text) <= 6 or text not in wrong


def test_events_are_known_ones() -> None:
    assert events_error(None) is None
    assert events_error(["job.started", "job.failed"]) is None
    for bad in ([], ["job.finished"], ["job.submitted"], ["job.failed", ""]):
        wrong = events_error(bad)
        assert wrong is not None and "job.succeeded" in wrong


def test_derived_secret_is_the_projects_own_and_signs() -> None:
    mine = derived_secret("pepper", PROJECT)
    assert mine == derived_secret("pepper", PROJECT)
    assert len({mine, derived_secret("pepper", OTHER), derived_secret("other", PROJECT)}) == 3
    assert secret_error(mine) is None
    assert Webhook(mine).verify(b"{}", _headers(mine)) == {}


def _headers(key: str) -> dict[str, str]:
    now = int(time.time())
    return {"webhook-id": "evt_1", "webhook-timestamp": str(now), "webhook-signature": sign(key, "evt_1", now, b"{}")}


class Names:
    """Name server of a test: everything is one public address."""

    async def addresses(self, host: str) -> list[str]:
        return ["8.8.8.8"]


async def register(url: str, **given: Any) -> Any:
    asked = {"events": None, "secret": None, "allow_private": False, **given}
    return await job_webhook(url, project_id=PROJECT, pepper="pepper", resolver=Names(), **asked)


async def test_callback_gets_end_events_and_the_projects_secret_by_default() -> None:
    hook = await register("https://hooks.example.com/a")
    assert hook.events == ("job.succeeded", "job.failed", "job.canceled", "job.expired")
    assert (hook.url, hook.secret) == ("https://hooks.example.com/a", derived_secret("pepper", PROJECT))


async def test_callback_keeps_what_the_client_chose() -> None:
    hook = await register("https://hooks.example.com/a", events=["job.failed", "job.failed"], secret=secret(32))
    assert (hook.events, hook.secret) == (("job.failed",), secret(32))


@pytest.mark.parametrize(
    ("url", "given", "code", "pointer"),
    [
        ("http://hooks.example.com/a", {}, "webhook_url_forbidden", "/webhook/url"),
        ("https://10.0.0.1/a", {}, "webhook_url_forbidden", "/webhook/url"),
        ("", {"allow_private": True}, "webhook_url_forbidden", "/webhook/url"),
        ("https://hooks.example.com/a", {"secret": "short"}, "input_invalid", "/webhook/secret"),
        ("https://hooks.example.com/a", {"events": ["job.done"]}, "input_invalid", "/webhook/events"),
    ],
)
async def test_problem_names_the_field(url: str, given: dict[str, Any], code: str, pointer: str) -> None:
    with pytest.raises(Problem) as caught:
        await register(url, **given)
    assert caught.value.entry.code == code and caught.value.entry.status == 422
    assert [(error.pointer, error.code) for error in caught.value.errors] == [(pointer, code)]
