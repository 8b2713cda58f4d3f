"""Ordering keys over HTTP: clients at once, workers that are killed; one job of a key at a time, none lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import combinations, groupby

from tests.flows.lanes import Lanes, Told
from tests.stack import until

HELD = ("queued", "ordering")


def test_a_key_keeps_its_order_over_clients_at_once_and_killed_workers(lanes: Lanes) -> None:
    lanes.worker("standard", standard=8)
    lanes.worker("standard", standard=8)
    with ThreadPoolExecutor(2) as threads:
        keyed = {"lane": "standard", "ordering_key": "account-7", "priority": 3}
        first = threads.submit(lanes.crowd, "first", 100, keyed, seconds=0.03)
        other = threads.submit(lanes.crowd, "other", 20, {"lane": "standard", "ordering_key": "account-8"}, seconds=0.1)
        for count in (15, 45, 75):
            until(lambda count=count: len(ends(lanes, "first")) >= count)  # type: ignore[misc]
            killed_while_it_runs(lanes, "first")
            lanes.worker("standard", standard=8)
    lanes.rest()
    for name, told in (("first", first.result()), ("other", other.result())):
        in_order_of_acceptance(lanes, name, told)
        one_at_a_time(lanes, name)
    assert len(lanes.noted("first")) > 200, "some were killed in the middle and began again"
    assert lanes.starts("other")[-1]["started_at"] < lanes.starts("first")[-1]["started_at"]


def test_the_rest_of_a_key_says_that_it_waits_and_a_cancel_moves_it_up(lanes: Lanes) -> None:
    keyed = {"lane": "standard", "ordering_key": "account-7"}
    jobs = [lanes.submit("line", keyed, gate=lanes.gate) for _ in range(4)]
    assert [(job["status"], job["reason"]) for job in jobs] == [("queued", None), HELD, HELD, HELD]
    assert {job["ordering_key"] for job in jobs} == {"account-7"}
    assert [lanes.waits(job) for job in jobs[:2]] == [[("queued", False)], [("ordering", False)]]
    lanes.worker("standard")
    until(lambda: state(lanes, jobs[0]) == ("running", None))
    assert cancel(lanes, jobs[1]) == 200
    assert cancel(lanes, jobs[0]) == 202
    until(lambda: state(lanes, jobs[2]) == ("running", None))
    assert state(lanes, jobs[3]) == HELD
    lanes.open_gate()
    lanes.rest()
    assert [state(lanes, job)[0] for job in jobs] == ["canceled", "canceled", "succeeded", "succeeded"]
    assert lanes.waits(jobs[1]) == [("ordering", True)]
    assert lanes.waits(jobs[3]) == [("ordering", True), ("queued", True)]


def in_order_of_acceptance(lanes: Lanes, name: str, told: list[Told]) -> None:
    """All succeeded, and started in the order of their places; who was answered before another asked stands before."""
    starts = lanes.starts(name)
    assert {row["id"] for row in starts} == {one.id for one in told}
    assert {row["status"] for row in starts} == {"succeeded"}
    places = [row["ordering_place"] for row in starts]
    assert places == sorted(places)
    place = {row["id"]: row["ordering_place"] for row in starts}
    for one, another in combinations(told, 2):
        if one.told_at < another.asked_at:
            assert place[one.id] < place[another.id]


def one_at_a_time(lanes: Lanes, name: str) -> None:
    """A job begins when the one before has ended; a killed worker's job begins again, and none between."""
    notes = lanes.noted(name)
    runs = [list(run) for _, run in groupby(notes, key=lambda note: note.n)]
    assert len(runs) == len({note.n for note in notes}) == len(lanes.starts(name))
    assert {(run[0].word, run[-1].word) for run in runs} == {("begin", "end")}


def ends(lanes: Lanes, name: str) -> list[int]:
    return [note.n for note in lanes.noted(name) if note.word == "end"]


def killed_while_it_runs(lanes: Lanes, name: str) -> None:
    """SIGKILL to the worker that is in the middle of a job of the crowd."""
    until(lambda: lanes.noted(name)[-1].word == "begin")
    (victim,) = [worker for worker in lanes.workers if worker.pid == lanes.noted(name)[-1].pid]
    victim.kill()


def state(lanes: Lanes, job: dict[str, str]) -> tuple[str, str | None]:
    now = lanes.stack.job(job["id"])
    return now["status"], now["reason"]


def cancel(lanes: Lanes, job: dict[str, str]) -> int:
    return lanes.stack.client.post(f"/v1/jobs/{job['id']}/cancel").status_code
