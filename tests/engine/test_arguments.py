"""Arguments, results and names of steps: compared, recorded, or refused with a clear error."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from app.domain.errors import ErrorClass
from app.engine.journal import MemoryJournal
from app.engine.perform import Failed, perform
from laneway import Context, workflow
from laneway.testing import JobFailed, run
from tests.engine.support import START, failure_of, flow, make_run, once


class Box(BaseModel):
    """A result with types that JSON does not have."""

    at: datetime
    tags: set[str]


@dataclass(frozen=True)
class Point:
    """An argument that is no model."""

    x: int
    y: int


EQUAL = [
    (Point(1, 2), Point(1, 2)),
    ({"b", "a", "c"}, {"c", "b", "a"}),
    (dict.fromkeys([0, 8]).keys(), dict.fromkeys([8, 0]).keys()),
    ({"x": 1, "y": 2}, {"y": 2, "x": 1}),
    ({1: "a", "1": "b"}, {"1": "b", 1: "a"}),
    (b"\xff\x00", b"\xff\x00"),
    (Box(at=START, tags={"q", "p"}), Box(at=START, tags={"p", "q"})),
    (timedelta(seconds=3), timedelta(seconds=3)),
    ("a\ud800\x00", "a\ud800\x00"),
]
OTHER = [Point(1, 3), {"a"}, {"x": 2}, {1: "a"}, b"\xff", Box(at=START, tags=set()), timedelta(seconds=4), "a"]


@pytest.mark.parametrize(("first", "second"), EQUAL)
async def test_equal_arguments_have_equal_digests(first: Any, second: Any) -> None:
    digests = []
    for argument in (first, second, *OTHER):
        _, journal = await once(lambda _: 1, argument)
        digests.append(journal.records[0].args_digest)
    assert digests[0] == digests[1]
    assert len(set(digests)) >= len(OTHER)


@pytest.mark.parametrize("argument", [object(), print, float("nan"), iter([1]), [[...]], (x for x in "a")])
async def test_an_argument_that_cannot_be_compared_is_a_clear_error(argument: Any) -> None:
    failure = await failure_of(lambda _: 1, argument)
    assert failure.code == "workflow_error"
    assert "step 'only' has arguments that can't be compared" in failure.detail


@pytest.mark.parametrize("value", [object(), float("inf"), b"\xff\xfe", {1, "a", float("nan")}])
async def test_a_result_that_cannot_be_recorded_is_a_clear_error(value: Any) -> None:
    failure = await failure_of(lambda: value)
    assert failure.code == "workflow_error"
    assert "step 'only' returned what can't be recorded" in failure.detail


async def test_a_result_must_fit_its_annotation() -> None:
    def wrong() -> int:
        return "seven"  # type: ignore[return-value]

    assert "valid integer" in (await failure_of(wrong)).detail


async def test_an_annotation_that_is_no_data_is_a_clear_error() -> None:
    def odd() -> threading.Lock:
        raise NotImplementedError

    assert "can't be recorded" in (await failure_of(odd)).detail


async def test_other_arguments_than_the_recorded_ones_are_refused() -> None:
    journal = MemoryJournal()
    await perform(flow(str, 1), make_run("x", journal=journal))
    outcome = await perform(flow(str, 2), make_run("x", journal=journal, resumed=True))
    assert isinstance(outcome, Failed)
    assert (outcome.failure.error_class, outcome.failure.code) == (ErrorClass.PROCESSING, "replay_mismatch")
    assert outcome.failure.step == "only"


@pytest.mark.parametrize("name", ["", "a\x00", "\ud800", "n" * 101])
async def test_names_that_cannot_be_stored_are_refused(name: str) -> None:
    @workflow("odd-name", version="1")
    async def odd_name(ctx: Context, given: str) -> str:
        return await ctx.step(name, str, given)

    with pytest.raises(JobFailed, match="step"):
        await run(odd_name, "x")


async def test_keys_for_outside_writes_are_stable_and_differ_by_step() -> None:
    @workflow("keys", version="1")
    async def keys(ctx: Context, _: str) -> list[str]:
        return [ctx.idempotency_key("pay"), ctx.idempotency_key("pay", 1), ctx.idempotency_key("pay1")]

    journal = MemoryJournal()
    first = await run(keys, "x", journal=journal)
    assert first == await run(keys, "x", journal=journal.take_over())
    assert len(set(first)) == 3
    assert first != await run(keys, "x")
