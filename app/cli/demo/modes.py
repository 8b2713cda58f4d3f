"""One job in each mode: waited for, polled, called back; each as a client has it, with what he can check."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from dataclasses import dataclass
from typing import Any

import httpx
from standardwebhooks import Webhook, WebhookVerificationError

from app.cli.demo.api import Api, Json, Unexpected
from app.cli.demo.figures import seconds
from app.domain.clock import SYSTEM_CLOCK
from app.domain.ids import secret_bytes

_PATIENCE_S = 30.0
_POLL_S = 0.1
_HOOK_PATH = "/reviews"
_CLEAR = {"text": "What a wonderful camera: I love it, the pictures are great!"}
_UNCLEAR = {"text": "It arrived on a Tuesday, in a box."}
_POST = {
    "text": "Look what I found, it does what it says.",
    "image_urls": ["https://example.com/holiday.jpg"],
    "links": ["https://example.com/shop"],
}


@dataclass(frozen=True, slots=True)
class Polled:
    """A polled job and how many answers said that nothing had changed."""

    job: Json
    polls: int
    unchanged: int


@dataclass(frozen=True, slots=True)
class CalledBack:
    """A job that was told by webhook: how long after its end, and at which address."""

    job: Json
    url: str
    after_ms: float


async def waited(api: Api, tag: str) -> Json:
    """A clear review whose answer is waited for. Raises Unexpected unless it succeeded within the wait."""
    response = await api.submit("review-sentiment", {"input": _CLEAR, "tags": [tag]}, wait_s=int(_PATIENCE_S))
    if response.status_code != 201:
        raise Unexpected(f"the waited job had not ended after {_PATIENCE_S:g} s: {response.text[:500]}")
    return _succeeded(response.json())


async def polled(api: Api, tag: str) -> Polled:
    """A post for moderation, polled with its ETag. Raises Unexpected unless it succeeded."""
    response = await api.submit("moderate-post", {"input": _POST, "tags": [tag]})
    job, known, polls, unchanged = response.json(), None, 0, 0
    until = SYSTEM_CLOCK.monotonic() + _PATIENCE_S
    while not job["terminal"]:
        _in_time(until, f"the polled job {job['id']}")
        await asyncio.sleep(_POLL_S)
        response = await api.read(job["id"], known)
        polls += 1
        if response.status_code == 304:
            unchanged += 1
        else:
            job, known = response.json(), response.headers["etag"]
    if (await api.read(job["id"], known)).status_code != 304 and known:
        raise Unexpected(f"the ended job {job['id']} is not 304 for its own ETag")
    return Polled(_succeeded(job), polls, unchanged)


async def called_back(api: Api, receiver_url: str, tag: str) -> CalledBack:
    """An unclear review with a webhook. Raises Unexpected unless it came, signed, and says what the job says."""
    secret = f"whsec_{b64encode(secret_bytes(32)).decode()}"
    path = f"{_HOOK_PATH}/{tag}"
    webhook = {"url": receiver_url + path, "secret": secret}
    job = (await api.submit("review-sentiment", {"input": _UNCLEAR, "tags": [tag], "webhook": webhook})).json()
    arrival = await _arrival(receiver_url, path)
    told = _verified(secret, arrival["headers"], arrival["body"])
    job = await _delivered(api, job["id"])
    if told["type"] != "job.succeeded" or told["data"]["id"] != job["id"] or told["data"]["output"] != job["output"]:
        raise Unexpected(f"the webhook tells {told} of job {job['id']}, whose output is {job['output']}")
    after = seconds(arrival["at"]) - seconds(job["ended_at"])
    return CalledBack(job, webhook["url"], after * 1000)


async def _arrival(receiver_url: str, path: str) -> Json:
    """The first webhook that the receiver got at that path, as it came."""
    until = SYSTEM_CLOCK.monotonic() + _PATIENCE_S
    async with httpx.AsyncClient(base_url=receiver_url, trust_env=False) as http:
        while not (found := (await http.get("/received", params={"path": path})).json()["data"]):
            _in_time(until, f"a webhook to {receiver_url}{path}")
            await asyncio.sleep(_POLL_S)
    return dict(found[0])


def _verified(secret: str, headers: dict[str, str], body: str) -> Any:
    """What the webhook says. Raises Unexpected for a wrong signature, and for one that fits a changed body too."""
    webhook = Webhook(secret)
    try:
        told = webhook.verify(body, headers)
    except WebhookVerificationError as error:
        raise Unexpected(f"the webhook's signature is wrong: {error}") from None
    try:
        webhook.verify(body + " ", headers)
    except WebhookVerificationError:
        return told
    raise Unexpected("the webhook's signature fits a changed body too")


async def _delivered(api: Api, job_id: str) -> Json:
    """The job once it knows that its webhook was taken."""
    until = SYSTEM_CLOCK.monotonic() + _PATIENCE_S
    while (job := (await api.read(job_id)).json())["webhook_delivery"] != "succeeded":
        _in_time(until, f"the delivery state of {job_id} ({job['webhook_delivery']})")
        await asyncio.sleep(_POLL_S)
    return _succeeded(job)


def _succeeded(job: Json) -> Json:
    if job["status"] != "succeeded":
        raise Unexpected(f"job {job['id']} is {job['status']}: {job['error'] or job['reason']}")
    return job


def _in_time(until: float, what: str) -> None:
    if SYSTEM_CLOCK.monotonic() > until:
        raise Unexpected(f"{what} did not come within {_PATIENCE_S:g} s")
