"""Tries: what is tried again, after which wait, and what fails at once."""

from __future__ import annotations

import asyncio
import functools
import threading
from datetime import timedelta

import pytest

from app.domain.errors import ErrorClass, InputError, MustWait, ProviderAuth, RateLimited
from app.domain.job import Reason
from app.domain.step import StepStatus
from app.engine.journal import MemoryJournal
from app.engine.perform import Parked, Succeeded, perform
from app.engine.virtual import VirtualClock
from laneway import Context, Policy, ProcessingError, SystemFault, TransientError, workflow
from tests.engine.support import START, Flaky, failure_of, flow, make_run, once, result


async def test_transient_errors_are_tried_again_within_the_slot() -> None:
    flaky = Flaky(TransientError("a"), OSError("b"), ConnectionResetError("c"))
    clock = VirtualClock(START)
    outcome, journal = await once(flaky, policy=Policy(tries=4, backoff="200ms"), clock=clock)
    assert isinstance(outcome, Succeeded)
    assert flaky.calls == 4
    assert journal.records[0].tries == 4
    # The last one not before a breaker has had the time to open.
    assert 5 * 0.2 <= clock.monotonic() <= 0.2 + 0.4 + 0.8 + 1e-6


async def test_a_long_backoff_parks_and_charges_an_attempt() -> None:
    flaky = Flaky(TransientError("busy", retry_after_s=30))
    outcome, journal = await once(flaky)
    assert isinstance(outcome, Parked)
    assert (outcome.reason, outcome.charged) == (Reason.RETRY, True)
    assert outcome.failure is not None
    assert (outcome.failure.code, outcome.failure.step) == ("dependency_failed", "only")
    assert timedelta(seconds=30) <= outcome.until - START <= timedelta(seconds=31)
    record = journal.records[0]
    assert (record.status, record.tries, record.error) == (StepStatus.RETRYING, 1, outcome.failure)


async def test_a_run_that_comes_too_early_waits_for_the_step_without_charge() -> None:
    flaky, journal, clock = Flaky(TransientError(retry_after_s=60)), MemoryJournal(), VirtualClock(START)
    first = await perform(flow(flaky), make_run("x", journal=journal, clock=clock))
    assert isinstance(first, Parked)
    clock.move_to(START + timedelta(seconds=5))
    second = await perform(flow(flaky), make_run("x", journal=journal, clock=clock, resumed=True))
    assert isinstance(second, Parked)
    assert (second.until, second.charged, flaky.calls) == (first.until, False, 1)
    clock.move_to(first.until)
    assert isinstance(await perform(flow(flaky), make_run("x", journal=journal, clock=clock, resumed=True)), Succeeded)


async def test_tries_count_over_attempts_and_the_last_failure_is_final() -> None:
    flaky = Flaky(*[TransientError(f"no {number}", retry_after_s=10) for number in range(9)])
    failure = await failure_of(flaky, policy=Policy(tries=3))
    assert flaky.calls == 3
    assert (failure.error_class, failure.detail, failure.step) == (ErrorClass.TRANSIENT, "no 2", "only")


async def test_a_recorded_failure_is_raised_again_without_running() -> None:
    journal, flaky, seen = MemoryJournal(), Flaky(InputError("bad file", code="unreadable")), []

    @workflow("caught", version="1")
    async def caught(ctx: Context, _: str) -> str:
        try:
            return await ctx.step("only", flaky)
        except InputError as error:
            seen.append((error.code, error.detail))
            return "caught"

    for resumed in (False, True):
        assert isinstance(await perform(caught, make_run("x", journal=journal, resumed=resumed)), Succeeded)
    assert flaky.calls == 1
    assert seen == [("unreadable", "bad file")] * 2
    assert journal.records[0].status is StepStatus.FAILED


@pytest.mark.parametrize(
    ("error", "error_class", "code"),
    [
        (InputError("x"), ErrorClass.INPUT, "input_invalid"),
        (ProcessingError("x", code="rule_violated"), ErrorClass.PROCESSING, "rule_violated"),
        (ProviderAuth("x"), ErrorClass.SYSTEM, "provider_auth"),
        (KeyError("x"), ErrorClass.PROCESSING, "workflow_error"),
        (SystemExit(3), ErrorClass.PROCESSING, "workflow_error"),
        (StopIteration(), ErrorClass.PROCESSING, "workflow_error"),
        (asyncio.CancelledError(), ErrorClass.PROCESSING, "workflow_error"),
    ],
)
@pytest.mark.parametrize("threaded", [False, True])
async def test_errors_that_no_try_mends_fail_at_once(
    error: BaseException, error_class: ErrorClass, code: str, threaded: bool
) -> None:
    calls = 0

    def in_thread() -> None:
        nonlocal calls
        calls += 1
        raise error

    async def in_loop() -> None:
        in_thread()

    failure = await failure_of(in_thread if threaded else in_loop)
    assert (failure.error_class, failure.code, failure.step, calls) == (error_class, code, "only", 1)


async def test_error_texts_are_safe_to_store() -> None:
    class Odd(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    assert (await failure_of(Flaky(ValueError("a\x00b\ud800")))).detail == "ValueError: a\\x00b\\ud800"
    assert (await failure_of(Flaky(Odd()))).detail == "Odd"


async def test_rate_limits_charge_no_try() -> None:
    flaky = Flaky(*[RateLimited(retry_after_s=0) for _ in range(3)], TransientError("a"))
    outcome, journal = await once(flaky, policy=Policy(tries=2, backoff="100ms"))
    assert isinstance(outcome, Succeeded)
    assert (flaky.calls, journal.records[0].tries) == (5, 2)


@pytest.mark.parametrize(("retry_after_s", "least", "most"), [(20.0, 20, 21), (None, 60, 61)])
async def test_a_long_rate_limit_parks_uncharged(retry_after_s: float | None, least: int, most: int) -> None:
    outcome, journal = await once(Flaky(RateLimited(retry_after_s=retry_after_s)))
    assert isinstance(outcome, Parked)
    assert (outcome.reason, outcome.charged, journal.records) == (Reason.RATE_LIMIT, False, [])
    assert timedelta(seconds=least) <= outcome.until - START <= timedelta(seconds=most)


async def test_endless_short_rate_limits_park_in_the_end() -> None:
    flaky = Flaky(*[RateLimited(retry_after_s=0) for _ in range(100)])
    outcome, _ = await once(flaky)
    assert isinstance(outcome, Parked)
    assert flaky.calls < 8


async def test_must_wait_parks_with_its_own_reason_or_stays_in_the_slot() -> None:
    far = START + timedelta(seconds=90)
    outcome, _ = await once(Flaky(MustWait("provider_down", far)))
    assert isinstance(outcome, Parked)
    assert (outcome.reason, outcome.until, outcome.charged) == (Reason.PROVIDER_DOWN, far, False)
    past, clock = START - timedelta(hours=1), VirtualClock(START)
    outcome, _ = await once(Flaky(*[MustWait("rate_limit", past)] * 10), clock=clock)
    assert isinstance(outcome, Succeeded)
    assert clock.monotonic() >= 0.5
    near, clock = START + timedelta(seconds=1.5), VirtualClock(START)
    outcome, journal = await once(Flaky(MustWait("rate_limit", near)), clock=clock)
    assert isinstance(outcome, Succeeded)
    assert (clock.now(), journal.records[0].tries) == (near, 1)


@pytest.mark.parametrize("error", [SystemFault("disk"), MemoryError(), OSError(28, "No space left on device")])
async def test_trouble_of_the_house_parks_uncharged(error: Exception) -> None:
    outcome, journal = await once(Flaky(error))
    assert isinstance(outcome, Parked)
    assert (outcome.reason, outcome.charged, journal.records) == (Reason.SYSTEM, False, [])
    assert outcome.until == START + timedelta(seconds=15)
    assert outcome.failure is not None
    assert outcome.failure.error_class is ErrorClass.SYSTEM


@pytest.mark.parametrize("threaded", [False, True])
async def test_a_step_that_takes_too_long_is_transient(threaded: bool) -> None:
    async def hang() -> None:
        await asyncio.sleep(30)

    done = threading.Event()
    failure = await failure_of(
        functools.partial(done.wait, 1) if threaded else hang, policy=Policy(tries=2, timeout="30ms", backoff="1ms")
    )
    done.set()
    assert (failure.error_class, failure.detail) == (ErrorClass.TRANSIENT, "no result within 0.03 s")


async def test_an_author_timeout_is_transient() -> None:
    flaky = Flaky(TimeoutError("slow"))
    assert await result(flaky, policy=Policy(timeout="10s", backoff="1ms")) == "done"


async def test_the_worker_can_hold_new_tries() -> None:
    asked: list[str] = []

    async def may_start() -> None:
        asked.append("may I?")

    await once(Flaky(TransientError()), policy=Policy(backoff="1ms"), may_start=may_start)
    assert len(asked) == 2
