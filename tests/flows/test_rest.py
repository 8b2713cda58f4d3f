"""What waits holds nothing and outlives every process; what talks on the way is heard to its last word."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.domain import ids
from tests.stack import Process, Stack, running_stack, until
from tests.supervise.embedded import open_folder


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Servers only: the tests start the processes, and may stop them."""
    workflows = "tests.flows.catalogue,tests.flows.family"
    with open_folder() as folder, running_stack(folder, LANEWAY_WORKFLOWS=workflows, LANEWAY_DRAIN_S="1") as made:
        yield made


def held(stack: Stack, job_id: str) -> tuple[str, str, object]:
    """Status, reason and owner as stored."""
    (row,) = stack.sql("select status, reason, worker_id from jobs where id = $1", ids.read("job", job_id))
    return row["status"], row["reason"], row["worker_id"]


def both(stack: Stack) -> tuple[Process, Process]:
    """A worker and an API: those that run, or new ones."""
    running = {one.log.name.partition("-")[0]: one for one in stack.processes if one.process.poll() is None}
    return running.get("work") or stack.start_worker(), running.get("serve") or stack.start_api()


def test_sleep_and_children_outlive_a_restart_of_everything(stack: Stack) -> None:
    worker, api = both(stack)
    gate = stack.folder / "gate"
    sleeper = stack.submit("naps", {"journal": stack.journal, "name": "nap", "step_s": 6})["id"]
    parent = stack.submit("branch", {"journal": stack.journal + "-leaves", "leaves": 5, "gate": str(gate)})["id"]
    began = time.monotonic()
    until(lambda: held(stack, sleeper) == ("scheduled", "sleep", None))
    until(lambda: held(stack, parent) == ("waiting", "children", None))
    assert worker.stop() == 0
    assert api.stop() == 0
    assert held(stack, sleeper) == ("scheduled", "sleep", None)
    both(stack)
    gate.touch()
    assert stack.ended(parent)["output"] == {"ends": {"succeeded": 5}, "total": 10}
    assert stack.ended(sleeper)["output"] == {"n": 1}
    assert time.monotonic() - began >= 6
    noted = [line.split()[:2] for line in Path(stack.journal).read_text().splitlines()]
    assert noted == [["nap", "before"], ["nap", "after"]]


def test_progress_bumps_the_revision_at_most_once_in_two_seconds_and_its_last_word_stays(stack: Stack) -> None:
    both(stack)
    job = stack.submit("talks", {"journal": stack.journal + "-talks", "leaves": 70})
    seen = set()

    def ended() -> bool:
        found = stack.job(job["id"])
        seen.add((found["revision"], found["progress"]["percent"] if found["progress"] else None))
        return bool(found["terminal"])

    until(ended)
    found = stack.job(job["id"])
    # Submitted and claimed; a word at once, one after 2 s; the end, with the last.
    assert found["progress"] == {"percent": 99, "step": "last words", "eta_s": None}
    assert found["revision"] == 5
    assert len(seen) <= 5
    assert {percent for _, percent in seen} >= {0, 99}


def test_a_job_that_waits_shows_its_last_word(stack: Stack) -> None:
    both(stack)
    job = stack.submit("talks", {"journal": stack.journal + "-waits", "leaves": 3, "gate": "x"})
    until(lambda: held(stack, job["id"]) == ("scheduled", "sleep", None))
    assert stack.job(job["id"])["progress"] == {"percent": 99, "step": "last words", "eta_s": None}
