"""The sender against a real receiver: what it sends, what it makes of answers, what no answer may cost."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from app.clients.address import check_url
from app.clients.pin import ForbiddenAddress, open_session
from app.clients.resolver import Resolver, SystemResolver
from app.clients.webhook import MAX_ANSWER_BYTES, WebhookClient
from app.domain import ids
from app.domain.clock import SYSTEM_CLOCK
from app.domain.event import Delivery
from tests.clients.receiver import Hooks, receiver

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
TLS = Path(__file__).parent / "tls"
CERTIFICATE = TLS / "hooks.example.test.pem"


class Names:
    """Name server of a test: each name's answers, one after the other; the last stays."""

    def __init__(self, **names: list[list[str]]) -> None:
        self._names = {name.replace("_", "."): answers for name, answers in names.items()}

    async def addresses(self, host: str) -> list[str]:
        answers = self._names[host]
        return answers.pop(0) if len(answers) > 1 else answers[0]


@pytest.fixture(scope="module")
def hooks() -> Iterator[Hooks]:
    with receiver() as running:
        yield running


@pytest.fixture
async def client() -> AsyncIterator[WebhookClient]:
    sender = WebhookClient(allow_private=True, timeout_s=5, clock=SYSTEM_CLOCK)
    yield sender
    await sender.aclose()


def delivery(url: str, body: bytes = b'{"type":"job.succeeded"}') -> Delivery:
    now = datetime.now(UTC)
    return Delivery(
        ids.uuid7(),
        1,
        ids.uuid7(),
        ids.uuid7(),
        ids.uuid7(),
        "job.succeeded",
        url,
        SECRET,
        body,
        0,
        now,
        "0" * 32,
        "0" * 16,
    )


async def send_once(what: Delivery, **options: Any) -> Any:
    sender = WebhookClient(**{"allow_private": True, "timeout_s": 5, "clock": SYSTEM_CLOCK, **options})
    try:
        return await sender.send(what, TRACEPARENT)
    finally:
        await sender.aclose()


async def test_what_arrives_is_verified_by_the_standard_library_of_webhooks(
    hooks: Hooks, client: WebhookClient
) -> None:
    body = '{"text":"smørrebrød \N{SNOWMAN}"}'.encode()
    what = delivery(hooks.answer("/signed", {"status": 204}), body)
    answer = await client.send(what, TRACEPARENT)
    assert (answer.status_code, answer.error) == (204, None)
    [arrival] = hooks.received("/signed")
    headers = arrival["headers"]
    assert arrival["body"].encode() == body
    assert Webhook(SECRET).verify(body, headers) == {"text": "smørrebrød \N{SNOWMAN}"}
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body + b" ", headers)
    assert headers["webhook-id"] == ids.show("evt", what.event_id)
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 5
    assert re.fullmatch(r"v1,[A-Za-z0-9+/]{43}=", headers["webhook-signature"])
    assert headers["content-type"] == "application/json"
    assert re.fullmatch(r"laneway/\d+\.\d+\.\d+", headers["user-agent"])
    assert headers["traceparent"] == TRACEPARENT
    assert headers["host"] == hooks.url.removeprefix("http://")


async def test_every_attempt_has_the_same_id_and_body_but_its_own_time(hooks: Hooks) -> None:
    what = delivery(hooks.answer("/again", {"status": 500}))
    for offset_s in (0, 100):
        await send_once(what, clock=_Shifted(offset_s))
    first, second = hooks.received("/again")
    assert first["body"] == second["body"]
    assert first["headers"]["webhook-id"] == second["headers"]["webhook-id"]
    assert int(second["headers"]["webhook-timestamp"]) - int(first["headers"]["webhook-timestamp"]) >= 99
    for arrival in (first, second):
        Webhook(SECRET).verify(arrival["body"].encode(), arrival["headers"])


class _Shifted:
    """The machine's clock, some seconds ahead."""

    def __init__(self, offset_s: float) -> None:
        self._offset = timedelta(seconds=offset_s)

    def now(self) -> datetime:
        return SYSTEM_CLOCK.now() + self._offset

    def monotonic(self) -> float:
        return SYSTEM_CLOCK.monotonic()

    async def sleep(self, seconds: float) -> None:
        await SYSTEM_CLOCK.sleep(seconds)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirect_is_a_failure_and_not_followed(hooks: Hooks, client: WebhookClient, status: int) -> None:
    target = hooks.answer(f"/target{status}")
    answer = await client.send(delivery(hooks.answer("/moved", {"status": status, "location": target})), TRACEPARENT)
    assert (answer.status_code, answer.error) == (status, "redirect")
    assert hooks.received(f"/target{status}") == []


@pytest.mark.parametrize("status", [400, 404, 410, 429, 500, 503])
async def test_other_statuses_are_failures(hooks: Hooks, client: WebhookClient, status: int) -> None:
    answer = await client.send(delivery(hooks.answer("/status", {"status": status, "body_bytes": 10})), TRACEPARENT)
    assert (answer.status_code, answer.error, answer.body) == (status, "http_status", bytes(10))


async def test_retry_after_is_read_in_both_forms(hooks: Hooks, client: WebhookClient) -> None:
    later = (datetime.now(UTC) + timedelta(seconds=60)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    answers = [{"status": 503, "retry_after": text, "times": 1} for text in ("7", later, "soon", "-3")]
    url = hooks.answer("/patience", *answers)
    seconds, date, nonsense, negative = [
        (await client.send(delivery(url), TRACEPARENT)).retry_after_s for _ in range(4)
    ]
    assert seconds == 7
    assert date is not None and 55 < date <= 61
    assert nonsense is None and negative is None


async def test_silent_receiver_costs_the_timeout_and_no_more(hooks: Hooks) -> None:
    url = hooks.answer("/silent", {"hang": "status"})
    began = time.monotonic()
    answer = await send_once(delivery(url), timeout_s=0.5)
    assert answer.error == "timeout" and answer.status_code is None
    assert 0.4 < time.monotonic() - began < 1.5


async def test_status_counts_even_when_the_body_never_ends(hooks: Hooks) -> None:
    url = hooks.answer("/endless", {"hang": "body", "body_bytes": 1 << 20, "gzip": True})
    began = time.monotonic()
    answer = await send_once(delivery(url), timeout_s=0.5)
    assert (answer.status_code, answer.error) == (200, None)
    assert time.monotonic() - began < 1.5


async def test_huge_answer_costs_nothing(hooks: Hooks, client: WebhookClient) -> None:
    url = hooks.answer("/huge", {"status": 200, "body_bytes": 1 << 30})
    began, before = time.monotonic(), _memory_bytes()
    answer = await client.send(delivery(url), TRACEPARENT)
    assert (answer.status_code, answer.body) == (200, bytes(MAX_ANSWER_BYTES))
    assert time.monotonic() - began < 2
    assert _memory_bytes() - before < 30 << 20
    arrival = await _gone(hooks, "/huge")
    assert arrival["sent_bytes"] < 32 << 20


async def test_gzip_bomb_stays_packed(hooks: Hooks, client: WebhookClient) -> None:
    url = hooks.answer("/bomb", {"status": 200, "body_bytes": 1 << 30, "gzip": True})
    before = _memory_bytes()
    answer = await client.send(delivery(url), TRACEPARENT)
    assert (answer.status_code, answer.body) == (200, bytes(MAX_ANSWER_BYTES))
    assert _memory_bytes() - before < 30 << 20
    assert (await _gone(hooks, "/bomb"))["gone"]


async def _gone(hooks: Hooks, path: str) -> dict[str, Any]:
    for _ in range(100):
        if hooks.received(path)[0]["gone"]:
            break
        await asyncio.sleep(0.05)
    return hooks.received(path)[0]


def _memory_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_environment_proxies_are_not_asked(hooks: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert (await send_once(delivery(hooks.answer("/direct")))).status_code == 200


async def test_name_that_turned_private_after_submit_is_refused_at_connect(hooks: Hooks) -> None:
    url = hooks.answer("/rebound").replace("http://127.0.0.1", "https://rebind.example")
    names = Names(rebind_example=[["93.184.215.14"], ["127.0.0.1"]])
    assert await check_url(url, False, names) is None
    answer = await send_once(delivery(url), allow_private=False, resolver=names)
    assert (answer.error, answer.detail) == (
        "forbidden_address", "the host has an address that is not public (loopback)",
    )  # fmt: skip
    assert hooks.received("/rebound") == []


async def test_one_private_address_among_public_ones_is_enough_to_refuse(hooks: Hooks) -> None:
    names = Names(mixed_example=[["93.184.215.14", "127.0.0.1"]])
    answer = await send_once(delivery("https://mixed.example/"), allow_private=False, resolver=names)
    assert answer.error == "forbidden_address"


async def test_private_or_plain_url_is_refused_before_anything_is_sent(hooks: Hooks) -> None:
    url = hooks.answer("/plain")
    for refused in (url, url.replace("http:", "https:"), "https://[::ffff:127.0.0.1]/", "https://u:p@8.8.8.8/"):
        assert (await send_once(delivery(refused), allow_private=False)).error == "forbidden_url"
    assert hooks.received("/plain") == []


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"])
async def test_socket_refuses_a_literal_address_that_no_one_checked(hooks: Hooks, host: str) -> None:
    """The last door: literal addresses pass no name server."""
    async with open_session(SystemResolver(), False, ssl.create_default_context()) as session:
        with pytest.raises(aiohttp.ClientConnectorError) as caught:
            await session.get(hooks.answer("/literal").replace("127.0.0.1", host))
        assert isinstance(caught.value.os_error, ForbiddenAddress)


async def test_checked_address_is_called_with_the_original_host_and_sni() -> None:
    trusting = ssl.create_default_context(cafile=CERTIFICATE)
    names: Resolver = Names(hooks_example_test=[["127.0.0.1"]], other_example_test=[["127.0.0.1"]])
    with receiver(tls=(CERTIFICATE, TLS / "hooks.example.test.key.pem")) as secure:
        port = secure.url.rpartition(":")[2]
        good = delivery(f"https://hooks.example.test:{port}/sni")
        assert (await send_once(good, resolver=names, tls=trusting)).status_code == 200
        assert secure.received("/sni")[0]["headers"]["host"] == f"hooks.example.test:{port}"
        other = replace(good, url=f"https://other.example.test:{port}/sni")
        assert (await send_once(other, resolver=names, tls=trusting)).error == "tls_failed"
        assert (await send_once(good, resolver=names)).error == "tls_failed"
        assert len(secure.received("/sni")) == 1


async def test_failures_below_http_have_names_of_their_own() -> None:
    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"200 is what I say\r\n\r\n")
        await writer.drain()
        writer.close()

    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    codes = []
    for serve in (nonsense, silence):
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            codes.append((await send_once(delivery(f"http://127.0.0.1:{port}/"))).error)
    codes.append((await send_once(delivery(f"http://127.0.0.1:{port}/"))).error)
    codes.append((await send_once(delivery("http://no-such-name.example/"), resolver=_NoNames())).error)
    codes.append((await send_once(delivery("http://slow.example/"), resolver=_SlowNames(), timeout_s=0.2)).error)
    assert codes == ["protocol_error", "disconnected", "connect_failed", "dns_failed", "timeout"]


class _NoNames:
    async def addresses(self, host: str) -> list[str]:
        raise OSError("no such name")


class _SlowNames:
    async def addresses(self, host: str) -> list[str]:
        await asyncio.sleep(30)
        return []


async def test_secret_that_cannot_sign_is_a_failed_attempt(hooks: Hooks, client: WebhookClient) -> None:
    answer = await client.send(replace(delivery(hooks.answer("/unsigned")), secret="whsec_c2hvcnQ="), TRACEPARENT)
    assert answer.error == "invalid_request" and "c2hvcnQ" not in answer.detail
    assert hooks.received("/unsigned") == []
