"""A failed job again, in memory: what is read from its record, what runs, and that nothing leaves the process."""

from __future__ import annotations

import asyncio
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.domain import canonical, ids
from app.engine.codec import digest
from laneway import Context, Policy, TransientError, workflow
from laneway.testing import JobFailed, MissingReply, NetworkUsed, rerun

AT = datetime(2030, 1, 1, tzinfo=UTC)
RAN: list[str] = []


@workflow("rerun-flow", version="1")
async def flow(ctx: Context, text: str) -> str:
    """A step, a model, a step."""
    first = await ctx.step("first", shout, text)
    said = await ctx.ask("said", model="small", prompt=first, policy=Policy(tries=2, backoff="1ms"))
    return await ctx.step("last", shout, said)


@workflow("rerun-talks", version="1")
async def talks(ctx: Context, text: str) -> int:
    """Reaches out, from the loop or from a thread."""
    return await ctx.step("talk", reach if text == "thread" else areach)


def shout(text: str) -> str:
    """Noted, so that it is seen to run."""
    RAN.append(text)
    return text.upper()


def reach() -> int:
    """From a thread."""
    with socket.create_connection(("127.0.0.1", 9), 1):
        return 1


async def areach() -> int:
    """From the loop, and taking any failure for an outage."""
    try:
        await asyncio.open_connection("127.0.0.1", 9)
    except Exception as error:
        raise TransientError("away") from error
    return 1


def step(name: str, *arguments: Any, output: Any = None, error: str | None = None, **more: Any) -> dict[str, Any]:
    """A recorded step."""
    failed = {"error_class": error, "code": "it_failed", "detail": "so", "step": name} if error else None
    return {
        "name": name, "key": "", "kind": "step", "status": "failed" if error else "succeeded", "tries": 1,
        "args_digest": digest(*arguments).hex(), "output": output, "error": failed, "started_at": AT.isoformat(),
        "ended_at": AT.isoformat(), "attempt": 1, "span_id": "0" * 16, **more,
    }  # fmt: skip


def call(seconds: float, text: str | None = None, error: str | None = None, outcome: str | None = None) -> Any:
    """A recorded call of the step `said`, so long after the step's begin."""
    return {
        "step": "said", "key": "", "started_at": (AT + timedelta(seconds=seconds)).isoformat(),
        "outcome": outcome or ("failed" if error else "succeeded"), "error_code": error, "text": text,
        "finish_reason": "stop",
    }  # fmt: skip


@pytest.fixture
def record(tmp_path: Path) -> Any:
    """Writes the file of a job with these steps and calls."""
    RAN.clear()

    def write(steps: list[Any], calls: list[Any] | None = None, code: str = "it_failed", text: str = "a") -> Path:
        error = {"error_class": "processing", "code": code, "detail": "so", "step": "last"}
        job = {"job_id": str(ids.uuid7()), "workflow": "w", "version": "1", "started_at": AT.isoformat()}
        path = tmp_path / "job.json"
        path.write_bytes(canonical.dump({**job, "input": text, "error": error, "steps": steps, "calls": calls or []}))
        return path

    return write


def test_recorded_steps_are_read_and_the_rest_runs(record: Any) -> None:
    file = record([step("first", "a", output="READ")], [call(1, "hello")])
    assert [rerun(flow, file) for _ in range(2)] == ["HELLO", "HELLO"]
    assert RAN == ["hello", "hello"]
    assert rerun(flow, file, live={"first"}) == "HELLO"
    assert RAN[2:] == ["a", "hello"]


def test_a_step_under_other_arguments_says_so(record: Any) -> None:
    """As it would in the service, where finished steps are kept too."""
    with pytest.raises(JobFailed, match="replay_mismatch at first"):
        rerun(flow, record([step("first", "b", output="READ")], [call(1, "hello")]))


def test_replies_are_for_what_was_not_reached(record: Any) -> None:
    file = record([])
    with pytest.raises(MissingReply):
        rerun(flow, file)
    assert rerun(flow, file, replies={"said": "given"}) == "GIVEN"


def test_a_given_reply_wins(record: Any) -> None:
    assert rerun(flow, record([], [call(1, "hello")]), replies={"said": "other"}) == "OTHER"


def test_the_models_failures_come_in_their_order(record: Any) -> None:
    away = call(1, error="provider_unavailable")
    file = record([], [away, call(1.5, error="provider_rate_limited", outcome="rate_limited"), call(2, "late")])
    assert rerun(flow, file) == "LATE"
    with pytest.raises(JobFailed, match="transient provider_unavailable at said"):
        rerun(flow, record([], [away, {**away, "started_at": call(2)["started_at"]}]))


def test_calls_of_an_earlier_round_are_left_out(record: Any) -> None:
    failed = step("said", kind="ask", error="processing")
    file = record([failed], [call(-60, "of the first round"), call(1, "of this round")])
    assert rerun(flow, file) == "OF THIS ROUND"


def test_failures_from_outside_are_read_unless_live(record: Any) -> None:
    outside = record([step("talk", error="transient")], text="thread")
    with pytest.raises(JobFailed, match="transient it_failed at talk: so"):
        rerun(talks, outside)
    with pytest.raises(NetworkUsed):
        rerun(talks, outside, live={"talk"})


@pytest.mark.parametrize("how", ["thread", "loop"])
def test_nothing_leaves_the_process(record: Any, how: str) -> None:
    with pytest.raises(NetworkUsed, match="no network"):
        rerun(talks, record([], text=how))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", 9), 1)
