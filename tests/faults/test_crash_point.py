"""Crash points: a misspelt one is refused, an armed one kills at its pass, and without one nothing happens."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from app.domain.crash import POINTS, arm, crash_here
from tests.stack import ROOT


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    arm(None)


@pytest.mark.parametrize("text", ["", "nowhere", "submit.committed:x", "submit.committed:0", "job.claimed:-1", ":3"])
def test_what_names_no_point_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is none of"):
        arm(text)


def test_unarmed_points_do_nothing() -> None:
    arm(None)
    for point in POINTS:
        crash_here(point)


def test_an_armed_point_kills_at_its_pass_only() -> None:
    program = """
from app.domain.crash import arm, crash_here
arm("job.claimed:3")
for n in range(5):
    crash_here("job.settled")
    print(n, flush=True)
    crash_here("job.claimed")
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()) == (-9, ["0", "1", "2"])
