"""Workers killed and frozen in mid-step, while nobody watches over them: the loss of a host."""

from __future__ import annotations

import signal
import time

from tests.faults.crew import alive, serving
from tests.faults.load import Shape
from tests.faults.scene import LEASE_S, taken_up
from tests.faults.trial import Trial
from tests.stack import until

KILLS = 2
FROZEN_S = 2 * LEASE_S + 0.5
POINTS = ("job.claimed:10", "step.done:30", "step.recorded:30", "job.settled:8", "webhook.sent:6")


def killed(trial: Trial) -> None:
    """Nobody tells of the deaths: the survivors see the lease run out, as after the loss of a host."""
    scene, felled = trial.scene, []
    scene.crew.api()
    workers = list(scene.crew.workers(2 + KILLS))
    load = scene.load(Shape(step_s=0.08, seed=trial.seed))
    for _ in range(KILLS):
        time.sleep(trial.chance.uniform(0.3, 0.8))
        victim = workers.pop(trial.chance.randrange(len(workers)))
        felled.append((victim.pid, scene.kill(victim)))
    time.sleep(2.0)
    trial.rest(load)
    marks = scene.marks()
    trial.took([wait for pid, at in felled for wait in taken_up(marks, pid, at)])


def killed_at_points(trial: Trial) -> None:
    """Each dies once between a side effect and its record, beside two that live."""
    scene = trial.scene
    scene.crew.api()
    victims = {point: scene.crew.worker(LANEWAY_CRASH_POINT=point) for point in POINTS}
    for victim in victims.values():
        serving(victim)
    scene.crew.workers(2)
    load = scene.load(Shape(rate=60, hooked=0.5, seed=trial.seed))
    felled: dict[str, float] = {}

    def all_dead() -> bool:
        felled.update({point: time.time() for point, one in victims.items() if not alive(one) and point not in felled})
        return len(felled) == len(victims)

    until(all_dead, 30)
    scene.felled |= {victim.pid for victim in victims.values()}
    trial.rest(load)
    marks = scene.marks()
    for line, point in enumerate(POINTS):
        trial.expect(victims[point].process.returncode == -9, f"{point}: ended otherwise")
        trial.took(taken_up(marks, victims[point].pid, felled[point]), line)


def frozen(trial: Trial) -> None:
    """Its jobs run elsewhere, and what it writes after its sleep is refused."""
    scene = trial.scene
    scene.crew.api()
    victim, other = scene.crew.workers(2)
    load = scene.load(Shape(step_s=0.15, seed=trial.seed))
    time.sleep(1.0)
    scene.felled.add(victim.pid)
    at = time.time()
    victim.process.send_signal(signal.SIGSTOP)
    time.sleep(FROZEN_S)
    taken = taken_up(scene.marks(), victim.pid, at)
    victim.process.send_signal(signal.SIGCONT)
    woken = time.time()
    time.sleep(1.5)
    trial.rest(load)
    trial.took(taken)
    own = [mark for mark in scene.marks() if mark.pid == victim.pid]
    late = [mark for mark in own if mark.edge == "end" and woken <= mark.at < woken + 0.5]
    trial.expect(late, "no step ended after its sleep: nothing had to be refused")
    trial.expect(alive(victim) and alive(other), "a worker ended")
    trial.expect(any(mark.at > woken + 0.5 for mark in own), "it does not work any more")
