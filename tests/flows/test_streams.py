"""Streams on the whole stack: items, deltas and resets, cuts that are retried, calls that are all accounted for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from app.bell.inbox import MOVED
from app.bell.redis import open_redis
from app.bell.wake import Wake
from app.domain import ids
from app.engine.schema import stream_form
from tests.flows.family import Finding
from tests.loadtest.provider_process import content_of
from tests.stack import Stack, running_stack, until
from tests.supervise.embedded import open_folder

Told = list[tuple[str, Any]]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Running, with one worker."""
    with open_folder() as folder, running_stack(folder, LANEWAY_WORKFLOWS="tests.flows.family") as made:
        made.start_api()
        made.start_worker()
        yield made


def watched(stack: Stack, item: str) -> tuple[dict[str, Any], Told]:
    """The job of that item once it has ended, and what streaming clients would have been sent."""
    return asyncio.run(_watched(stack, item))


async def _watched(stack: Stack, item: str) -> tuple[dict[str, Any], Told]:
    redis = open_redis(stack.servers.redis_url)
    wake = Wake(redis)
    wake.start(jobs=True)
    await asyncio.to_thread(until, lambda: wake.connected)
    run_at = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    # Watched before it starts: the first pieces may come before its id is known.
    job = await asyncio.to_thread(stack.submit, "streams", {"item": item}, run_at=run_at)
    with wake.watching(ids.read("job", job["id"])) as inbox:
        await asyncio.to_thread(stack.sql, "update jobs set due_at = now() where id = $1", ids.read("job", job["id"]))
        ended = await asyncio.to_thread(stack.ended, job["id"])
        await asyncio.sleep(0.1)
        told = [note for note in await inbox.take(0) if note[0] != MOVED]
    await wake.close()
    await redis.aclose()
    return ended, told


def said(told: Told) -> str:
    """The text that a client has in the end: what came since the last reset."""
    resets = [place for place, (kind, _) in enumerate(told) if kind == "reset"]
    return "".join(data["text"] for _, data in told[resets[-1] + 1 if resets else 0 :] if "text" in data)


def calls(stack: Stack, job: dict[str, Any]) -> list[tuple[str, bool]]:
    """Outcome and whether it cost something, of each call of the job, in order."""
    statement = "select outcome, output_tokens from calls where job_id = $1 order by started_at"
    rows = stack.sql(statement, ids.read("job", job["id"]))
    return [(row["outcome"], row["output_tokens"] > 0) for row in rows]


def three_findings(stack: Stack, prefix: str) -> tuple[str, str]:
    """An item, and the answer of three findings that the simulated model gives to it however often it is asked."""
    schema = stream_form(list[Finding]).schema
    for n in range(99):
        item = f"{prefix}-{n}"
        content = content_of(stack.provider.chat(f"<item>{item}</item>", model="small-sim", schema=schema))
        if len(orjson.loads(content)["items"]) == 3:
            return item, content
    raise AssertionError("no answer has three findings")


def test_items_and_deltas(stack: Stack) -> None:
    stack.provider.set_answers({"plain": {"items": [{"title": "a"}, {"title": "b"}]}})
    job, told = watched(stack, "plain")
    assert (job["status"], job["output"]) == ("succeeded", ["A", "B"])
    assert told[0] == ("delta", {"item": "plain"})
    assert orjson.loads(said(told)) == {"items": [{"title": "a"}, {"title": "b"}]}
    assert {kind for kind, _ in told[1:]} == {"piece"}
    assert calls(stack, job) == [("succeeded", True)]
    assert job["usage"]["calls"] == 1


@pytest.mark.parametrize("fault", ["truncated_body", "no_end", "error_event"])
def test_a_cut_stream_goes_on_where_it_was(stack: Stack, fault: str) -> None:
    """The second try says the same again: no item twice, no second run."""
    item, content = three_findings(stack, fault)
    stack.provider.set_answers({item: [{"$fault": fault}, content]})
    job, told = watched(stack, item)
    titles = [one["title"] for one in orjson.loads(content)["items"]]
    assert (job["status"], job["output"]) == ("succeeded", [title.upper() for title in titles])
    (reset,) = [place for place, (kind, _) in enumerate(told) if kind == "reset"]
    assert '"}' in "".join(data.get("text", "") for _, data in told[:reset]), "an item had come before the cut"
    assert said(told) == content
    assert [outcome for outcome, _ in calls(stack, job)] == ["failed", "succeeded"]
    assert calls(stack, job)[0][1], "what arrived of a cut stream is paid for"
    (row,) = stack.sql("select epoch from jobs where id = $1", ids.read("job", job["id"]))
    assert row["epoch"] == 1


def test_another_answer_after_a_cut_is_what_the_job_sees(stack: Stack) -> None:
    item, _ = three_findings(stack, "other")
    stack.provider.set_answers({item: [{"$fault": "truncated_body"}, {"items": [{"title": "z"}]}]})
    job, told = watched(stack, item)
    assert (job["status"], job["output"]) == ("succeeded", ["Z"])
    assert orjson.loads(said(told)) == {"items": [{"title": "z"}]}
    assert len(calls(stack, job)) == 2


def test_streams_that_are_always_cut_fail_as_the_fault_they_are(stack: Stack) -> None:
    stack.provider.set_answers({"hopeless": {"$fault": "no_end"}})
    job, _ = watched(stack, "hopeless")
    assert (job["status"], job["error"]["class"], job["error"]["step"]) == ("failed", "transient", "find")
    assert [outcome for outcome, _ in calls(stack, job)] == ["failed"] * 4
    assert job["usage"]["calls"] == 4
