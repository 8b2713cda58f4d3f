"""Event streams on the whole stack: partial output, resumption, and what becomes of them when a part dies."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from app.domain import ids
from tests.flows.events import Event, Reading, durable, following, submitting, text_of
from tests.stack import Process, Stack, running_stack, until
from tests.supervise.embedded import open_folder

# A text of so many pieces of four characters takes its time.
LONG = "".join(f"{n:04d}" for n in range(150))
SLOWLY = {"latency": "fixed(3000)", "first_token": 0.1}
WORKFLOWS = "tests.flows.family,tests.flows.speech,tests.flows.catalogue"
SUCCEEDED = ["job.submitted", "job.started", "job.succeeded"]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with open_folder() as made:
        yield made


@pytest.fixture(scope="module")
def stack(folder: Path) -> Iterator[Stack]:
    """Running, with one worker, and a heartbeat each half second."""
    with running_stack(folder, LANEWAY_WORKFLOWS=WORKFLOWS, LANEWAY_HTTP__HEARTBEAT_S="0.5") as made:
        made.start_api()
        made.start_worker()
        made.provider.set_answers({"long": LONG, "other": LONG[::-1]})
        yield made


@pytest.fixture
def slowly(stack: Stack) -> Iterator[None]:
    """The provider takes its time."""
    stack.provider.set_faults(**SLOWLY)
    yield
    stack.provider.reset_faults()


@contextmanager
def beside(stack: Stack, folder: Path, name: str) -> Iterator[tuple[Stack, Process]]:
    """A second API on the same database."""
    inner = folder / name
    inner.mkdir()
    extra = {"LANEWAY_WORKFLOWS": WORKFLOWS, "LANEWAY_HTTP__HEARTBEAT_S": "0.5"}
    made = Stack(stack.servers, stack.provider, stack.hooks, inner, extra)
    try:
        yield made, made.start_api()
    finally:
        made.close()


def some(reading: Reading, pieces: int) -> list[Event]:
    """Events up to so many deltas."""
    found: list[Event] = []
    while sum(event.name == "delta" for event in found) < pieces:
        found.append(next(iter(reading)))
    return found


def names(events: list[Event]) -> set[str]:
    return {event.name for event in events}


def rest_of(stack: Stack, before: list[Event], last_id: str) -> list[Event]:
    """The stream from there on; together with what came before it has every durable event once."""
    with following(stack, before[0].data["job_id"], last_id) as reading:
        events = list(reading)
    assert events[-1].name == "end"
    with following(stack, before[0].data["job_id"]) as reading:
        assert durable(before + events) == durable(list(reading))
    return events


@pytest.mark.usefixtures("slowly")
def test_pieces_come_while_the_answer_is_written(stack: Stack) -> None:
    arrived: list[float] = []
    with submitting(stack, "says-twice", {"items": ["long"]}) as reading:
        events = []
        for event in reading:
            events.append(event)
            arrived += [time.monotonic()] if event.name == "delta" else []
    assert text_of(events) == events[-1].data["output"] == LONG
    assert [kind for _, kind in durable(events)] == SUCCEEDED
    assert names(events) == {"job", "delta", "end"}
    assert [event.id for event in events if event.name != "job"] == [None] * (len(arrived) + 1)
    assert arrived[-1] - arrived[0] > 2
    assert len(arrived) > 100
    assert {(event.data["step"], event.data["key"]) for event in events if event.name == "delta"} == {("say", "long")}


def test_short_jobs_are_told_whole_and_at_once(stack: Stack) -> None:
    """Many are over before their stream begins."""
    stack.provider.set_answers({"long": LONG, "other": LONG[::-1]})

    def act(_: int) -> None:
        with submitting(stack, "says-twice", {"items": ["long", "other"]}) as reading:
            events = list(reading)
        assert text_of(events) == LONG + LONG[::-1] == events[-1].data["output"]
        assert [kind for _, kind in durable(events)] == SUCCEEDED
        assert names(events) == {"job", "delta", "end"}

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(act, range(80)))
    quick = []
    for _ in range(15):
        began = time.monotonic()
        with submitting(stack, "noop", {"n": 1}) as reading:
            assert list(reading)[-1].name == "end"
        quick.append(time.monotonic() - began)
    assert sorted(quick)[7] < 0.1


def test_answers_at_once_are_told_apart(stack: Stack) -> None:
    with submitting(stack, "says-all", {"items": ["long", "other"]}) as reading:
        events = list(reading)
    for key, text in (("long", LONG), ("other", LONG[::-1])):
        own = [event for event in events if event.name == "delta" and event.data["key"] == key]
        assert "".join(event.data["text"] for event in own) == text


@pytest.mark.usefixtures("slowly")
def test_the_next_step_starts_before_the_answer_is_whole(stack: Stack) -> None:
    stack.provider.set_answers({"early": {"items": [{"title": str(n) * 40} for n in range(6)]}, "long": LONG})
    with submitting(stack, "streams", {"item": "early"}) as reading:
        end = list(reading)[-1].data
    spans = stack.client.get(f"/v1/jobs/{end['id']}/trace").json()["spans"]
    (call,) = [span for span in spans if span["kind"] == "call"]
    shouts = sorted(span["started_at"] for span in spans if span["name"] == "shout")
    assert len(shouts) == 6
    assert shouts[0] < shouts[3] < call["ended_at"]


@pytest.mark.usefixtures("slowly")
def test_who_comes_late_gets_the_answers_so_far(stack: Stack) -> None:
    """In the middle of the second answer: the first, whole, and the second from its start."""
    stack.provider.set_answers({"long": LONG, "short": "soon said"})
    job = stack.submit("says-twice", {"items": ["short", "long"]})
    with following(stack, job["id"]) as early:
        first = some(early, 40)
        with following(stack, job["id"]) as late:
            told = list(late)
        first += list(early)
    for events in (first, told):
        assert text_of(events) == "soon said" + LONG == events[-1].data["output"]
        assert names(events) == {"job", "delta", "end"}


@pytest.mark.usefixtures("slowly")
def test_a_client_that_comes_back_in_the_middle(stack: Stack) -> None:
    with submitting(stack, "says-twice", {"items": ["long"]}) as reading:
        first = some(reading, 40)
        last_id = reading.last_id
    rest = rest_of(stack, first, last_id)
    assert [event.name for event in rest[:2]] == ["reset", "delta"]
    assert len(rest[1].data["text"]) >= 4 * 40, "the answer so far, in one piece"
    assert text_of(first + rest) == text_of(rest) == LONG


@pytest.mark.usefixtures("slowly")
def test_a_worker_that_dies_in_the_middle(stack: Stack) -> None:
    with submitting(stack, "says-twice", {"items": ["long"]}) as reading:
        events = some(reading, 30)
        stack.processes[-1].kill()
        stack.start_worker()
        events += list(reading)
    resets = [place for place, event in enumerate(events) if event.name == "reset"]
    assert len(resets) == 1
    assert text_of(events[: resets[0]]) == LONG[: len(text_of(events[: resets[0]]))]
    assert text_of(events) == LONG == events[-1].data["output"]
    assert [kind for _, kind in durable(events)] == SUCCEEDED
    assert stack.job(events[-1].data["id"])["attempt"] == 1


@pytest.mark.usefixtures("slowly")
def test_an_api_that_dies_in_the_middle(stack: Stack, folder: Path) -> None:
    with (
        beside(stack, folder, "killed") as (dying, api),
        submitting(dying, "says-twice", {"items": ["long"]}, on_disconnect="cancel") as reading,
    ):
        first = some(reading, 30)
        api.kill()
        with pytest.raises(httpx.TransportError):
            first += list(reading)
    rest = rest_of(stack, first, reading.last_id)
    assert text_of(first + rest) == LONG == rest[-1].data["output"]


@pytest.mark.usefixtures("slowly")
def test_an_api_that_is_told_to_stop_lets_its_streams_go(stack: Stack, folder: Path) -> None:
    """The stream ends whole, without `end`: that is no leave of the client's; another API goes on."""
    with (
        beside(stack, folder, "stopped") as (leaving, api),
        submitting(leaving, "says-twice", {"items": ["long"]}, on_disconnect="cancel") as reading,
    ):
        first = some(reading, 30)
        began = time.monotonic()
        api.process.terminate()
        first += list(reading)
        assert api.process.wait(10) == 0
        assert time.monotonic() - began < 2
    assert first[-1].name != "end"
    rest = rest_of(stack, first, reading.last_id)
    assert text_of(first + rest) == LONG == rest[-1].data["output"]


@pytest.mark.usefixtures("slowly")
def test_without_the_bell_durable_events_still_come(stack: Stack) -> None:
    with submitting(stack, "says-twice", {"items": ["long"]}) as reading:
        events = some(reading, 30)
        stack.servers.valkey.kill()
        try:
            events += list(reading)
        finally:
            stack.servers.valkey.start()
    assert [kind for _, kind in durable(events)] == SUCCEEDED
    assert events[-1].data["output"] == LONG
    assert LONG.startswith(text_of(events)), "what came is the beginning of the answer"


@pytest.mark.slow
def test_a_bell_that_comes_back_brings_what_was_missed(stack: Stack) -> None:
    """The first answer ends while it is away, the second goes on when it is back: both come whole, nothing twice."""
    stack.provider.set_faults(latency="fixed(2000)", first_token=0.1)
    stack.provider.set_answers({"long": LONG, "longer": LONG * 4})
    with submitting(stack, "says-twice", {"items": ["long", "longer"]}) as reading:
        events = some(reading, 30)
        stack.provider.set_faults(latency="fixed(9000)", first_token=0.01)
        stack.servers.valkey.kill()
        # The first answer is recorded.
        until(lambda: stack.sql("select from steps where job_id = $1", ids.read("job", events[0].data["job_id"])))
        stack.servers.valkey.start()
        events += list(reading)
    stack.provider.reset_faults()
    for key, text in (("long", LONG), ("longer", LONG * 4)):
        assert text_of([event for event in events if event.name == "delta" and event.data["key"] == key]) == text
    assert names(events) == {"job", "delta", "end"}


@pytest.mark.usefixtures("slowly")
def test_a_database_that_goes_away_holds_the_stream_up(stack: Stack) -> None:
    with submitting(stack, "says-twice", {"items": ["long"]}) as reading:
        events = some(reading, 30)
        stack.servers.postgres.kill()
        try:
            time.sleep(1)
        finally:
            stack.servers.postgres.start()
        events += list(reading)
    assert [kind for _, kind in durable(events)] == SUCCEEDED
    assert text_of(events) == LONG == events[-1].data["output"]


def test_progress_is_told_when_it_is_new(stack: Stack) -> None:
    with submitting(stack, "advances", {"pieces": 90}) as reading:
        events = list(reading)
    said = [event.data for event in events if event.name == "progress"]
    assert said[0] == {"percent": 0, "step": "piece 0", "eta_s": None}
    percents = [one["percent"] for one in said]
    assert percents == sorted(set(percents))
    assert 2 <= len(percents) <= 5
    assert [event.id for event in events if event.name == "progress"] == [None] * len(said)


def test_silence_has_a_heartbeat(stack: Stack) -> None:
    with submitting(stack, "naps", {"journal": stack.journal, "name": "n", "step_s": 2.0}) as reading:
        events = list(reading)
    assert durable(events)[-1][1] == "job.succeeded"
    assert 3 <= len(reading.comments) <= 6
    assert set(reading.comments) == {" "}


def test_a_slow_client_costs_no_memory_and_no_end(stack: Stack) -> None:
    """60 MB are said while one client reads nothing; others, and the API, do not notice."""
    api = stack.processes[0].pid
    speech = {"pieces": 1000, "characters": 60_000, "gap_s": 0.005}
    with submitting(stack, "emits", speech) as lazy, ThreadPoolExecutor(1) as pool:
        first = some(lazy, 1)
        before = _resident(api)
        eager = pool.submit(_all, stack, first[0].data["job_id"])
        most = before
        while not eager.done():
            most = max(most, _resident(api))
            time.sleep(0.05)
        events = first + list(lazy)
    told = [event.data["n"] for event in events if event.name == "delta"]
    assert told == sorted(set(told))
    assert len(told) < 500, "what nobody took is dropped"
    assert events[-1].data["output"] == 1000
    assert len([event for event in eager.result() if event.name == "delta"]) > 2 * len(told)
    assert most - before < 30_000_000


def _all(stack: Stack, job_id: str) -> list[Event]:
    with following(stack, job_id) as reading:
        return list(reading)


def _resident(pid: int) -> int:
    """Bytes in memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    return 1024 * int(status.partition("VmRSS:")[2].split()[0])
