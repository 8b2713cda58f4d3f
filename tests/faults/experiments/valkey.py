"""Valkey killed, away, frozen, full or read-only: it holds no job, so nothing is lost and nobody waits for it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import redis

from tests.faults import journals
from tests.faults.load import Shape
from tests.faults.scene import Scene, start_lags
from tests.faults.trial import Trial
from tests.supervise.embedded import RunningServer

KILLS = 3
Hurt = Callable[[Scene], AbstractContextManager[None]]


def killed(trial: Trial) -> None:
    """Killed and started empty under load."""
    scene, felled = trial.scene, []
    scene.crew.api()
    scene.crew.workers(2)
    valkey = scene.stack.servers.valkey
    load = scene.load(Shape(waiting=0.3, seed=trial.seed))
    for _ in range(KILLS):
        time.sleep(trial.chance.uniform(0.6, 1.0))
        felled.append(time.time())
        valkey.kill()
        valkey.start()
    time.sleep(0.8)
    trial.rest(load)
    _unhurt(trial)
    told, marks = journals.told(scene.told), scene.marks()
    trial.took([lag for at in felled for lag in start_lags(marks, told, at, at + 0.8)])


def hurt(how: Hurt, seconds: float, trial: Trial) -> None:
    """For so long: submits are answered, waiting clients too, running jobs end, and new work starts, all without it."""
    scene = trial.scene
    scene.crew.api()
    scene.crew.workers(2)
    load = scene.load(Shape(waiting=0.3, seed=trial.seed))
    time.sleep(0.5)
    with how(scene):
        felled = time.time()
        time.sleep(seconds)
        back = time.time()
    time.sleep(1.0)
    trial.rest(load)
    _unhurt(trial)
    marks, told = scene.marks(), journals.told(scene.told)
    trial.took([one.at - one.asked_at for one in told if felled <= one.asked_at < back and not one.waits])
    trial.took(start_lags(marks, told, felled, back), line=1)
    trial.took(start_lags(marks, told, back, back + 1.0), line=2)


@contextmanager
def away(scene: Scene) -> Iterator[None]:
    """Killed, and started empty at the end."""
    scene.stack.servers.valkey.kill()
    yield
    scene.stack.servers.valkey.start()


@contextmanager
def stopped(scene: Scene) -> Iterator[None]:
    """SIGSTOP: connections stand, new ones are taken by the kernel, nobody answers."""
    server = _process(scene.stack.servers.valkey)
    server.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.send_signal(signal.SIGCONT)


@contextmanager
def frozen(scene: Scene) -> Iterator[None]:
    """The network holds every byte."""
    scene.doors.valkey.freeze()
    yield
    scene.doors.valkey.thaw()


@contextmanager
def half_open(scene: Scene) -> Iterator[None]:
    """The connections that stand carry nothing any more; new ones work."""
    scene.doors.valkey.forget()
    yield


@contextmanager
def full(scene: Scene) -> Iterator[None]:
    """Out of memory: it refuses to write."""
    with _client(scene) as client:
        client.config_set("maxmemory", 1)
        try:
            yield
        finally:
            client.config_set("maxmemory", 0)


@contextmanager
def read_only(scene: Scene) -> Iterator[None]:
    """Made the replica of a primary that is not there."""
    with _client(scene) as client:
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        try:
            yield
        finally:
            client.execute_command("REPLICAOF", "NO", "ONE")


def _client(scene: Scene) -> Any:
    return redis.Redis.from_url(scene.stack.servers.redis_url)


def _process(server: RunningServer) -> Any:
    assert server.process is not None
    return server.process


def _unhurt(trial: Trial) -> None:
    """Nobody had to ask twice, and no step ran again."""
    verdict = trial.scene.verdict()
    trial.expect(verdict.unanswered == 0, f"{verdict.unanswered} submits had no answer")
    trial.expect(verdict.reruns == 0, f"{verdict.reruns} steps ran again")
