"""Any fault in any order: workers killed, frozen and stopped; the API, Valkey and PostgreSQL killed."""

from __future__ import annotations

import signal
import time

from tests.faults.load import Shape
from tests.faults.trial import Trial
from tests.stack import Process

_WORKERS = 3


def mixed(seconds: float, trial: Trial) -> None:
    """For so long, while clients submit; the crew is whole again before the next fault in most cases, not in all."""
    scene = trial.scene
    acts = (_kill, _freeze, _stop, _valkey, _postgres, _api)
    scene.crew.api()
    scene.crew.workers(_WORKERS)
    load = scene.load(Shape(rate=40, step_s=0.1, waiting=0.2, seed=trial.seed))
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(trial.chance.uniform(0.2, 1.0))
        trial.chance.choice(acts)(trial)
    scene.crew.workers(_WORKERS)
    load.finish()
    scene.rest(60)
    dead = [job["key"] for job in scene.jobs() if job["status"] != "succeeded" and (job["deaths"] or 0) < 3]
    trial.expect(not dead, f"not succeeded, without three deaths: {dead[:5]}")


def _kill(trial: Trial) -> None:
    """A worker, in mid-step."""
    trial.scene.kill(_victim(trial))


def _freeze(trial: Trial) -> None:
    """A worker, for up to two leases."""
    victim = _victim(trial)
    trial.scene.felled.add(victim.pid)
    victim.process.send_signal(signal.SIGSTOP)
    time.sleep(trial.chance.uniform(0.5, 8.0))
    victim.process.send_signal(signal.SIGCONT)


def _stop(trial: Trial) -> None:
    """A worker, in an orderly way."""
    victim = _victim(trial)
    trial.scene.felled.add(victim.pid)
    code = victim.stop(15)
    trial.expect(code == 0, f"a worker that was stopped ended with {code}")


def _valkey(trial: Trial) -> None:
    """With everything in it."""
    valkey = trial.scene.stack.servers.valkey
    valkey.kill()
    time.sleep(trial.chance.uniform(0.0, 1.0))
    valkey.start()


def _postgres(trial: Trial) -> None:
    """Started again on the same files."""
    postgres = trial.scene.stack.servers.postgres
    postgres.kill()
    time.sleep(trial.chance.uniform(0.0, 0.5))
    postgres.start()


def _api(trial: Trial) -> None:
    """And started again."""
    trial.scene.crew.api().kill()
    trial.scene.crew.api()


def _victim(trial: Trial) -> Process:
    return trial.chance.choice(trial.scene.crew.workers(_WORKERS))
