"""A worker frozen for two leases: its jobs run elsewhere, and what it writes after its sleep is refused."""

from __future__ import annotations

import signal
import time

from tests.faults.conftest import Report
from tests.faults.crew import alive
from tests.faults.load import Shape
from tests.faults.scene import Scene, taken_up

_FROZEN_S = 4.5


def test_frozen_worker_comes_back_after_two_leases(scene: Scene, report: Report) -> None:
    scene.crew.api()
    frozen, other = scene.crew.workers(2)
    load = scene.load(Shape(step_s=0.15))
    time.sleep(1.0)
    scene.felled.add(frozen.pid)
    at = time.time()
    frozen.process.send_signal(signal.SIGSTOP)
    time.sleep(_FROZEN_S)
    taken = taken_up(scene.marks(), frozen.pid, at)
    frozen.process.send_signal(signal.SIGCONT)
    woken = time.time()
    time.sleep(1.5)
    load.finish()
    scene.rest()
    verdict, marks = scene.verdict(), scene.marks()
    report(f"SIGSTOP a worker for {_FROZEN_S:g} s, lease 2 s", verdict, taken)
    assert taken, "no job of the frozen worker ran elsewhere"
    late = [mark for mark in marks if mark.pid == frozen.pid and mark.edge == "end" and woken <= mark.at < woken + 0.5]
    assert late, "no step of the frozen worker ended after its sleep: nothing had to be refused"
    assert verdict.clean, verdict.explained()
    assert dict(verdict.ended) == {"succeeded": load.accepted}
    assert alive(frozen) and alive(other)
    assert any(mark.pid == frozen.pid and mark.at > woken + 0.5 for mark in marks), "it does not work any more"
