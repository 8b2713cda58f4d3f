"""Jobs that start jobs, on the whole stack: each child once, whatever dies; a parent that waits holds nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from app.domain import ids
from tests.stack import Process, Stack, running_stack, until
from tests.supervise.embedded import open_folder

_FAMILY = """
with recursive family as (
    select j.id, j.parent_id, 0 as level from jobs j where j.id = $1
    union all select j.id, j.parent_id, f.level + 1 from jobs j join family f on j.parent_id = f.id
)
select f.level, j.* from family f join jobs j on j.id = f.id
"""
_ENDS = """
select e.job_id from events e where e.job_id = any($1::uuid[])
    and e.type = any('{job.succeeded,job.failed,job.canceled,job.expired}'::text[])
"""


class Family:
    """A stack, and the journal and gate of one test."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.name = uuid4().hex
        self.journal = str(stack.folder / f"journal-{self.name}")
        self.gate = str(stack.folder / f"gate-{self.name}")

    def submit(self, workflow: str, **given: Any) -> str:
        """A job with this test's journal; its id."""
        return str(self.stack.submit(workflow, {"journal": self.journal, **given})["id"])

    def open_gate(self) -> None:
        """Let the leaves that wait for it go on."""
        Path(self.gate).touch()

    def lines(self, word: str) -> list[list[str]]:
        """What was noted under that word: the words after it."""
        path = Path(self.journal)
        lines = path.read_text().splitlines() if path.exists() else []
        return [line.split()[1:] for line in lines if line.split()[0] == word]

    def rows(self, job_id: str) -> list[dict[str, Any]]:
        """The job and all that descend from it, with their level."""
        return self.stack.sql(_FAMILY, ids.read("job", job_id))

    def ended(self, job_id: str, timeout_s: float = 60) -> dict[str, Any]:
        """The job once it has ended."""
        return self.stack.ended(job_id, timeout_s)

    def each_started_and_ended_once(self, job_id: str) -> None:
        """No child is there twice, none ended twice, and each place of each spawn has its one child."""
        rows = self.rows(job_id)
        places = Counter((row["spawn_id"], row["spawn_index"]) for row in rows if row["level"])
        assert set(places.values()) <= {1}
        for spawn_id in {spawn_id for spawn_id, _ in places}:
            own = sorted(place for spawn, place in places if spawn == spawn_id)
            assert own == list(range(len(own)))
        ends = Counter(row["job_id"] for row in self.stack.sql(_ENDS, [row["id"] for row in rows]))
        assert ends == Counter(row["id"] for row in rows)


def serving(process: Process) -> Process:
    """The worker once it serves."""
    until(lambda: '"event": "serving"' in process.log.read_text(), 30)
    return process


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Servers and an API; the tests start and kill workers."""
    with open_folder() as folder, running_stack(folder, LANEWAY_WORKFLOWS="tests.flows.family") as made:
        made.start_api()
        yield made


@pytest.fixture
def family(stack: Stack) -> Iterator[Family]:
    """One test; its workers end with it."""
    before = len(stack.processes)
    yield Family(stack)
    for process in stack.processes[before:]:
        if process.process.poll() is None:
            process.stop()


def counted(leaves: int) -> dict[str, Any]:
    """What a tree of so many leaves must give."""
    withered = [n for n in range(leaves) if n % 10 == 7]
    ends = {"succeeded": leaves - len(withered), **({"failed": len(withered)} if withered else {})}
    return {"ends": ends, "total": sum(range(leaves)) - sum(withered)}


def test_two_levels_and_three_hundred_children(family: Family) -> None:
    family.stack.start_worker()
    job_id = family.submit("tree", branches=3, leaves=100)
    job = family.ended(job_id)
    assert (job["status"], job["output"]) == ("succeeded", counted(300))
    rows = family.rows(job_id)
    assert Counter(row["level"] for row in rows) == {0: 1, 1: 3, 2: 300}
    family.each_started_and_ended_once(job_id)
    assert len(family.lines("leaf")) == 300
    (root,) = [row for row in rows if row["level"] == 0]
    for row in rows:
        assert (row["project_id"], row["key_id"], row["trace_id"]) == (
            root["project_id"], root["key_id"], root["trace_id"],
        )  # fmt: skip
        assert row["lane"] == {0: "interactive", 1: "standard", 2: "bulk"}[row["level"]]
    # Waiting for children is one park, not a run at each end.
    assert {row["epoch"] for row in rows if row["level"] < 2} == {3}
    assert {row["epoch"] for row in rows if row["level"] == 2} == {1}


def test_children_hang_below_their_spawn_in_the_trace(family: Family) -> None:
    family.stack.start_worker()
    job_id = family.submit("branch", leaves=2, gate=family.gate)
    until(lambda: family.stack.job(job_id)["reason"] == "children")
    family.open_gate()
    family.ended(job_id)
    spans = family.stack.client.get(f"/v1/jobs/{job_id}/trace").json()["spans"]
    (step,) = [span for span in spans if span["kind"] == "step"]
    (attempt,) = [span for span in spans if span["kind"] == "attempt"]
    assert (step["attributes"]["step_kind"], step["status"], step["parent_id"]) == ("spawn", "succeeded", attempt["id"])
    assert [span["name"] for span in spans if span["kind"] == "wait"].count("children") == 1
    children = [row for row in family.rows(job_id) if row["level"] == 1]
    assert {row["parent_span_id"] for row in children} == {step["id"]}
    assert len({row["span_id"] for row in children}) == 2


def test_a_parent_that_waits_holds_nothing(family: Family) -> None:
    """More parents than slots, all waiting at once, and their children still run."""
    family.stack.start_worker(LANEWAY_LANES__STANDARD__SLOTS="2", LANEWAY_LANES__BULK__SLOTS="2")
    parents = [family.submit("branch", leaves=1, first=n, gate=family.gate) for n in range(6)]
    until(lambda: {family.stack.job(parent)["reason"] for parent in parents} == {"children"})
    assert all(row["worker_id"] is None for parent in parents for row in family.rows(parent) if row["level"] == 0)
    family.open_gate()
    for n, parent in enumerate(parents):
        assert family.ended(parent)["output"] == {"ends": {"succeeded": 1}, "total": n}


def test_a_gather_goes_on_with_the_spawn_that_is_done(family: Family) -> None:
    family.stack.start_worker()
    job_id = family.submit("groves", leaves=3, gate=family.gate)
    until(lambda: family.lines("after-quick"))
    until(lambda: family.stack.job(job_id)["reason"] == "children")
    assert family.lines("after-slow") == []
    family.open_gate()
    assert family.ended(job_id)["output"] == ["quick", "slow"]
    assert len(family.lines("after-slow")) == len(family.lines("after-quick")) == 1


def test_a_worker_dies_between_two_portions_of_children(family: Family) -> None:
    """The first thousand are stored, the rest is not; the next worker starts the rest and nothing twice."""
    dying = serving(family.stack.start_worker("standard", LANEWAY_CRASH_POINT="children.started"))
    job_id = family.submit("branch", leaves=1200)
    assert dying.process.wait(30) == -9
    assert len(family.rows(job_id)) == 1001
    family.stack.start_worker()
    job = family.ended(job_id)
    assert (job["status"], job["output"]) == ("succeeded", counted(1200))
    family.each_started_and_ended_once(job_id)
    assert sorted(int(n) for n, _ in family.lines("leaf")) == list(range(1200))


def test_the_workers_are_killed_while_children_run(family: Family) -> None:
    victim = serving(family.stack.start_worker())
    job_id = family.submit("tree", branches=2, leaves=100, gate=family.gate)
    until(lambda: len(family.lines("leaf")) >= 20)
    victim.kill()
    heir = family.stack.start_worker()
    family.open_gate()
    job = family.ended(job_id)
    assert (job["status"], job["output"]) == ("succeeded", counted(200))
    family.each_started_and_ended_once(job_id)
    assert len(family.lines("plant")) == 1
    begun = Counter(n for n, _ in family.lines("leaf"))
    assert set(begun) == {str(n) for n in range(200)}
    # Only what was in flight when its worker died ran again.
    twice = {n for n, count in begun.items() if count > 1}
    assert max(begun.values()) == 2
    assert twice <= {n for n, pid in family.lines("leaf") if int(pid) == victim.pid}
    assert heir.process.poll() is None


def test_a_cancel_takes_all_descendants_and_a_retry_brings_them_back(family: Family) -> None:
    family.stack.start_worker(LANEWAY_LANES__BULK__SLOTS="5")
    job_id = family.submit("tree", branches=2, leaves=50, gate=family.gate)
    until(lambda: len(family.lines("leaf")) >= 5)
    assert len(family.rows(job_id)) == 103
    assert family.stack.client.post(f"/v1/jobs/{job_id}/cancel").status_code == 200
    until(lambda: {row["status"] for row in family.rows(job_id)} == {"canceled"}, 10)
    family.each_started_and_ended_once(job_id)
    told = {row["error_detail"] for row in family.rows(job_id)}
    assert told == {"Canceled by the client.", "Canceled with its parent."}
    assert family.stack.sql("select id from spawns where canceling or open <> 0") == []
    begun = len(family.lines("leaf"))
    family.open_gate()
    assert family.stack.client.post(f"/v1/jobs/{job_id}/retry", json={}).status_code == 202
    assert family.ended(job_id)["output"] == counted(100)
    assert len(family.rows(job_id)) == 103
    assert len(family.lines("leaf")) == begun + 100


def test_a_retry_from_the_start_starts_other_children(family: Family) -> None:
    family.stack.start_worker()
    job_id = family.submit("branch", leaves=3, gate=family.gate)
    until(lambda: len(family.lines("leaf")) == 3)
    family.stack.client.post(f"/v1/jobs/{job_id}/cancel")
    until(lambda: {row["status"] for row in family.rows(job_id)} == {"canceled"}, 10)
    family.open_gate()
    family.stack.client.post(f"/v1/jobs/{job_id}/retry", json={"from": "start"})
    assert family.ended(job_id)["output"] == counted(3)
    ends = Counter(row["status"] for row in family.rows(job_id) if row["level"])
    assert ends == {"succeeded": 3, "canceled": 3}


def test_a_child_that_the_client_retries_is_waited_for(family: Family) -> None:
    family.stack.start_worker()
    job_id = family.submit("branch", leaves=2, first=7, gate=family.gate)
    until(lambda: len(family.lines("leaf")) == 2)
    (eight,) = [row for row in family.rows(job_id) if row["spawn_index"] == 1]
    shown = ids.show("job", eight["id"])
    family.stack.client.post(f"/v1/jobs/{shown}/cancel")
    until(lambda: family.stack.job(shown)["status"] == "canceled")
    family.stack.client.post(f"/v1/jobs/{shown}/retry", json={})
    until(lambda: len(family.lines("leaf")) == 3)
    family.open_gate()
    assert family.ended(job_id)["output"] == {"ends": {"failed": 1, "succeeded": 1}, "total": 8}
    until(lambda: not family.stack.sql("select id from spawns where parent_id = $1", ids.read("job", job_id)))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ten_thousand_children(family: Family) -> None:
    family.stack.start_worker()
    family.stack.start_worker()
    job_id = family.submit("branch", leaves=10_000)
    job = family.ended(job_id, 500)
    assert (job["status"], job["output"]) == ("succeeded", counted(10_000))
    family.each_started_and_ended_once(job_id)
    assert sorted(int(n) for n, _ in family.lines("leaf")) == list(range(10_000))
