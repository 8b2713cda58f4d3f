"""Who starts first, over HTTP and with worker processes: the order of starts, as the database has it."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

from tests.flows.lanes import Lanes
from tests.stack import ROOT, Stack, until

BACKLOG = ("standard", "bulk")


def test_interactive_jobs_pass_a_backlog_of_thousands(lanes: Lanes) -> None:
    """First while every slot of the other lanes is held, then while those lanes flow."""
    for lane in BACKLOG:
        lanes.crowd(lane, 2500, {"lane": lane, "priority": 9}, gate=lanes.gate, seconds=0.25)
    lanes.worker("interactive,standard,bulk", interactive=2, standard=2, bulk=2)
    until(lambda: len(lanes.starts(*BACKLOG)) == 4)
    for _ in range(3):
        assert lanes.submit("now", {"priority": 0}, wait=30)["status"] == "succeeded"
    assert len(lanes.starts(*BACKLOG)) == 4, "a lane has the slots it was given and no others"
    lanes.open_gate()
    until(lambda: len(lanes.starts(*BACKLOG)) > 8)
    for _ in range(10):
        assert lanes.submit("now", {"priority": 0}, wait=30)["status"] == "succeeded"
    ahead = [sum(lanes.between(one, one, lane) for lane in BACKLOG) for one in lanes.starts("now")]
    assert len(ahead) == 13
    assert max(ahead) <= 8, "at most two rounds of the four slots of the backlog, of 5,000 that were there first"


def test_priority_goes_before_age_within_a_lane(lanes: Lanes) -> None:
    for priority in (5, 0, 9, 3, 5, 9, 0, 7):
        lanes.crowd("mixed", 3, {"lane": "standard", "priority": priority}, clients=1)
    lanes.worker("standard", standard=1)
    lanes.rest()
    starts = lanes.starts()
    assert len(starts) == 24
    for before, after in pairwise(starts):
        assert (-before["priority"], before["created_at"]) < (-after["priority"], after["created_at"])


def test_a_late_high_priority_passes_those_that_queue(lanes: Lanes) -> None:
    lanes.crowd("early", 200, {"lane": "standard"}, seconds=0.02)
    lanes.worker("standard", standard=1)
    until(lambda: len(lanes.starts()) >= 3)
    lanes.submit("late", {"lane": "standard", "priority": 9}, wait=30)
    (late,) = lanes.starts("late")
    assert lanes.between(late, late, "early") <= 3


def test_a_small_tenant_gets_his_share_beside_a_flood(lanes: Lanes) -> None:
    """Two projects, two keys: of the lane's time each gets half for as long as both want it."""
    small = _key(lanes.stack, "small")
    lanes.crowd("flood", 2000, {"lane": "standard"}, seconds=0.02)
    lanes.worker("standard", standard=4)
    until(lambda: len(lanes.starts()) >= 50)
    lanes.crowd("small", 20, {"lane": "standard"}, key=small, seconds=0.02)
    until(lambda: len(lanes.starts("small")) == 20)
    few = lanes.starts("small")
    first = min(few, key=lambda row: row["created_at"])
    assert lanes.between(first, few[-1], "flood") <= 60, "first come, first served would have been all that is left"
    assert len(lanes.starts("flood")) < 1000


def _key(stack: Stack, project: str) -> str:
    """A new key, in a project of that name."""
    command = [sys.executable, "-m", "app", "keys", "create", "--name", project, "--project", project]
    done = subprocess.run(command, cwd=ROOT, env=stack.environment, capture_output=True, text=True, check=True)
    return done.stdout.split()[-1]
