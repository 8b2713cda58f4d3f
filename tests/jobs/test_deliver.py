"""Deliver over a real outbox to a real receiver: once for each id, by the schedule, or visibly dead."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from standardwebhooks import Webhook
from structlog.testing import capture_logs

from app.clients.webhook import WebhookClient
from app.domain import ids
from app.domain.clock import SYSTEM_CLOCK
from app.jobs.deliver import Deliver
from app.settings import TelemetrySettings, WebhookSettings
from app.store.database import Database, open_database
from app.store.deliveries import Deliveries
from app.store.migrate import migrate
from app.telemetry.traces import Tracing, open_tracing
from tests.clients.receiver import ROOT, Hooks, receiver
from tests.jobs.outbox import SECRET, attempts, due, outbox
from tests.supervise.embedded import RunningServer, open_folder, open_servers

SHORT = (0.0, 0.2, 0.3, 0.4)


@pytest.fixture(scope="module")
def postgres() -> Iterator[RunningServer]:
    with open_folder() as folder:
        server = open_servers(folder, fsync=False).postgres
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="module")
async def database(postgres: RunningServer) -> AsyncIterator[Database]:
    await migrate(postgres.url)
    opened = await open_database(postgres.url, 4)
    yield opened
    await opened.close()


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("receiver") / "journal.jsonl"


@pytest.fixture(scope="module")
def hooks(journal: Path) -> Iterator[Hooks]:
    with receiver(journal=journal) as running:
        yield running


class Sender:
    """A delivery slot and what it is made of."""

    def __init__(self, database: Database, settings: WebhookSettings, tracing: Tracing) -> None:
        self.deliveries = Deliveries(database, ids.uuid7())
        self.client = WebhookClient(
            allow_private=settings.allow_private, timeout_s=settings.timeout_s, clock=SYSTEM_CLOCK
        )
        self.deliver = Deliver(self.deliveries, self.client, settings, SYSTEM_CLOCK, tracing)


@pytest.fixture
async def senders(database: Database) -> AsyncIterator[Any]:
    made: list[Sender] = []

    def make(tracing: Tracing | None = None, **settings: Any) -> Sender:
        chosen = WebhookSettings(**{"allow_private": True, "schedule_s": SHORT, "timeout_s": 2.0, **settings})
        made.append(Sender(database, chosen, tracing or open_tracing(TelemetrySettings(), "work")))
        return made[-1]

    yield make
    for sender in made:
        await sender.client.aclose()


async def serve_until(sender: Sender, database: Database, job_id: Any, *states: str, limit_s: float = 10) -> Any:
    """Serve the slot until the job's delivery is in one of the states."""
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        if not await sender.deliver.serve():
            await asyncio.sleep(0.01)
        row = await outbox(database, job_id)
        if row["status"] in states:
            return row
    raise AssertionError(f"delivery is {row['status']} after {row['attempts']} attempts")


def at(arrival: dict[str, Any]) -> float:
    return datetime.fromisoformat(arrival["at"]).timestamp()


async def test_nothing_due_is_nothing_done(senders: Any) -> None:
    assert await senders().deliver.serve() is False


async def test_due_webhook_arrives_signed_with_the_job_inside(database: Database, hooks: Hooks, senders: Any) -> None:
    job = await due(database, hooks.answer("/ok"), output=b'{"label":"positive"}')
    assert await senders().deliver.serve() is True
    row = await outbox(database, job.job_id)
    assert (row["status"], row["attempts"], row["next_at"], row["worker_id"]) == ("succeeded", 1, None, None)
    assert row["ended_at"] is not None
    [arrival] = hooks.received("/ok")
    body = Webhook(SECRET).verify(arrival["body"].encode(), arrival["headers"])
    assert arrival["headers"]["webhook-id"] == ids.show("evt", row["event_id"])
    assert (body["type"], body["sequence"], body["revision"]) == ("job.succeeded", 2, 2)
    assert body["data"]["id"] == ids.show("job", job.job_id)
    assert body["data"]["output"] == {"label": "positive"}
    [attempt] = await attempts(database, job.job_id)
    assert (attempt["n"], attempt["status_code"], attempt["error"]) == (1, 200, None)
    assert 0 <= attempt["duration_ms"] < 2000


async def test_schedule_is_followed_with_one_id_and_one_body_until_it_succeeds(
    database: Database, hooks: Hooks, senders: Any
) -> None:
    url = hooks.answer("/third", {"status": 500, "times": 2, "body_bytes": 9000}, {"status": 200})
    job = await due(database, url)
    row = await serve_until(senders(), database, job.job_id, "succeeded")
    first, second, third = hooks.received("/third")
    assert row["attempts"] == 3
    assert len({arrival["headers"]["webhook-id"] for arrival in (first, second, third)}) == 1
    assert len({arrival["body"] for arrival in (first, second, third)}) == 1
    assert 0.2 <= at(second) - at(first) < 1.2
    assert 0.27 <= at(third) - at(second) < 1.2
    seen = await attempts(database, job.job_id)
    assert [(a["n"], a["status_code"]) for a in seen] == [(1, 500), (2, 500), (3, 200)]
    assert len(seen[0]["response_body"]) == 4096


async def test_end_of_the_schedule_is_a_visible_dead_letter(database: Database, hooks: Hooks, senders: Any) -> None:
    job = await due(database, hooks.answer("/never", {"status": 503}))
    sender = senders()
    row = await serve_until(sender, database, job.job_id, "dead")
    assert (row["attempts"], row["next_at"]) == (len(SHORT), None)
    assert row["ended_at"] is not None
    await asyncio.sleep(0.5)
    assert await sender.deliver.serve() is False
    assert len(hooks.received("/never")) == len(SHORT)


async def test_retry_after_is_the_floor(database: Database, hooks: Hooks, senders: Any) -> None:
    job = await due(database, hooks.answer("/later", {"status": 429, "retry_after": "1", "times": 1}, {"status": 200}))
    await serve_until(senders(), database, job.job_id, "succeeded")
    first, second = hooks.received("/later")
    assert 1.0 <= at(second) - at(first) < 2.5


async def test_410_ends_it_at_once(database: Database, hooks: Hooks, senders: Any) -> None:
    job = await due(database, hooks.answer("/gone", {"status": 410, "retry_after": "1"}))
    row = await serve_until(senders(), database, job.job_id, "dead")
    assert (row["attempts"], row["next_at"]) == (1, None)


async def test_redirect_is_tried_again_and_never_followed(database: Database, hooks: Hooks, senders: Any) -> None:
    target = hooks.answer("/target")
    url = hooks.answer("/moved", {"status": 307, "location": target, "times": 1}, {"status": 200})
    job = await due(database, url)
    await serve_until(senders(), database, job.job_id, "succeeded")
    assert hooks.received("/target") == []
    assert len(hooks.received("/moved")) == 2
    assert (await attempts(database, job.job_id))[0]["error"].startswith("redirect")


async def test_slow_receiver_delays_no_other(database: Database, hooks: Hooks, senders: Any) -> None:
    slow = await due(database, hooks.answer("/slow", {"hang": "status"}))
    sender = senders(timeout_s=0.8)
    began = time.monotonic()
    held = asyncio.ensure_future(sender.deliver.serve())
    await _arrived(hooks, "/slow")
    quick = await due(database, hooks.answer("/quick"))
    assert await sender.deliver.serve() is True
    assert (await outbox(database, quick.job_id))["status"] == "succeeded"
    assert not held.done()
    await held
    assert time.monotonic() - began < 2
    row = await outbox(database, slow.job_id)
    assert (row["status"], row["attempts"]) == ("failed", 1)
    [attempt] = await attempts(database, slow.job_id)
    assert attempt["status_code"] is None and attempt["error"].startswith("timeout")
    hooks.answer("/slow")
    await serve_until(sender, database, slow.job_id, "succeeded")


async def test_span_hangs_below_the_job_and_the_receiver_gets_its_id(
    database: Database, hooks: Hooks, senders: Any
) -> None:
    exporter = InMemorySpanExporter()
    processor = BatchSpanProcessor(exporter)
    job = await due(database, hooks.answer("/traced", {"status": 500, "times": 1}, {"status": 200}))
    sender = senders(tracing=Tracing(processor, Resource.create({"service.name": "test"})))
    await serve_until(sender, database, job.job_id, "succeeded")
    processor.force_flush()
    spans = exporter.get_finished_spans()
    processor.shutdown()  # type: ignore[no-untyped-call]
    told = [arrival["headers"]["traceparent"] for arrival in hooks.received("/traced")]
    assert told == [f"00-{job.trace.trace_id}-{span.context.span_id:016x}-01" for span in spans if span.context]
    assert len(set(told)) == 2
    stored = [row["span_id"] for row in await attempts(database, job.job_id)]
    assert [header.split("-")[2] for header in told] == stored
    for span in spans:
        assert span.parent is not None and f"{span.parent.span_id:016x}" == job.trace.span_id
        assert span.attributes is not None and span.attributes["laneway.job.id"] == ids.show("job", job.job_id)
    assert [span.status.is_ok for span in spans] == [False, True] or spans[0].status.description == "http_status"


async def test_logs_name_the_host_and_nothing_of_the_content(database: Database, hooks: Hooks, senders: Any) -> None:
    url = hooks.answer("/hidden-path") + "?token=canary-token"
    with capture_logs() as lines:
        job = await due(database, url, output=b'{"text":"canary-prompt"}')
        await serve_until(senders(), database, job.job_id, "succeeded")
    [line] = [line for line in lines if line["event"] == "webhook attempt"]
    assert line["url_host"] == "127.0.0.1" and line["job_id"] == ids.show("job", job.job_id)
    text = repr(lines)
    assert not [word for word in ("canary", "hidden-path", SECRET, SECRET[6:20]) if word in text]


async def test_killed_sender_leaves_the_webhook_to_another_under_the_same_id(
    database: Database, postgres: RunningServer, hooks: Hooks, journal: Path, senders: Any
) -> None:
    job = await due(database, hooks.answer("/killed", {"hang": "status"}))
    victim = ids.uuid7()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.jobs.send_due", postgres.url, str(victim), cwd=ROOT
    )
    await _arrived(hooks, "/killed")
    process.kill()
    await process.wait()
    sender = senders()
    assert await sender.deliver.serve() is False
    hooks.answer("/killed")
    assert await sender.deliveries.orphaned() == [victim]
    await sender.deliveries.recover([victim])
    row = await serve_until(sender, database, job.job_id, "succeeded")
    assert row["attempts"] == 1
    first, second = _journaled(journal, "/killed")
    assert first["headers"]["webhook-id"] == second["headers"]["webhook-id"] == ids.show("evt", row["event_id"])
    assert first["body"] == second["body"]
    Webhook(SECRET).verify(second["body"].encode(), second["headers"])


async def test_late_result_of_a_sender_that_was_given_up_is_refused(
    database: Database, hooks: Hooks, senders: Any
) -> None:
    job = await due(database, hooks.answer("/late", {"status": 500, "delay_s": 0.5, "times": 1}, {"status": 200}))
    late, other = senders(), senders()
    sending = asyncio.ensure_future(late.deliver.serve())
    await _arrived(hooks, "/late")
    await other.deliveries.recover(await other.deliveries.orphaned())
    await serve_until(other, database, job.job_id, "succeeded")
    await sending
    row = await outbox(database, job.job_id)
    assert (row["status"], row["attempts"]) == ("succeeded", 1)
    assert len({arrival["headers"]["webhook-id"] for arrival in hooks.received("/late")}) == 1


async def test_canceled_slot_gives_the_webhook_back_through_recovery(
    database: Database, hooks: Hooks, senders: Any
) -> None:
    job = await due(database, hooks.answer("/drained", {"hang": "status"}))
    first, second = senders(), senders()
    serving = asyncio.ensure_future(first.deliver.serve())
    await _arrived(hooks, "/drained")
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    hooks.answer("/drained")
    await second.deliveries.recover(await second.deliveries.orphaned())
    row = await serve_until(second, database, job.job_id, "succeeded")
    assert row["attempts"] == 1


async def test_database_that_is_away_loses_no_result(
    database: Database, postgres: RunningServer, hooks: Hooks, senders: Any
) -> None:
    job = await due(database, hooks.answer("/outage", {"status": 200, "delay_s": 0.5}))
    serving = asyncio.ensure_future(senders().deliver.serve())
    await _arrived(hooks, "/outage")
    postgres.kill()
    await asyncio.sleep(1)
    assert not serving.done()
    postgres.start()
    assert await asyncio.wait_for(serving, 10) is True
    row = await outbox(database, job.job_id)
    assert (row["status"], row["attempts"]) == ("succeeded", 1)
    assert len(hooks.received("/outage")) == 1


def _journaled(journal: Path, path: str) -> list[dict[str, Any]]:
    return [line for text in journal.read_text().splitlines() if (line := json.loads(text))["path"] == path]


async def _arrived(hooks: Hooks, path: str) -> None:
    for _ in range(500):
        if hooks.received(path):
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"nothing arrived at {path}")
