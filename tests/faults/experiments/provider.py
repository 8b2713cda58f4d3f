"""The AI provider away, late, or answering what is no answer: each job ends once, each call has one key."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime

from tests.faults.load import Shape
from tests.faults.memory import forget_peak, memory_mb, peak_mb
from tests.faults.scene import Scene
from tests.faults.trial import Trial

_FAILED = "select distinct disposition, error_class, error_code from jobs where tags ? $1 and status = 'failed'"
# What becomes of a call whose every try met such an error.
_DEAD = {
    ("dead_letter", "transient", "provider_unavailable"),
    ("dead_letter", "transient", "provider_timeout"),
    ("dead_letter", "processing", "output_invalid"),
}
Hurt = Callable[[Scene], AbstractContextManager[None]]
_FAILED_CALLS = """
select count(*) from calls c join jobs j on j.id = c.job_id where j.tags ? $1 and c.outcome = 'failed'
"""
# The breaker opens within so many calls; others were on their way then. After that, a probe a second at most.
# In five minutes there are some hundred of those.
_OPENED, _IN_FLIGHT, _PROBES = 20, 30, 130
# What a worker may grow by while answers are huge or never end.
_GROWTH_MB = 50
SPOILED = ("reset", "truncated", "bad_json", "truncated_body", "trickle", "stalled", "http_500", "http_529")


def away(hows: Sequence[Hurt], seconds: float, trial: Trial) -> None:
    """In each way for so long no call succeeds: jobs that ask wait, the others go on as if nothing were."""
    scene = trial.scene
    scene.crew.api()
    scene.crew.workers(2)
    load = scene.load(Shape(rate=20, asking=0.5, seed=trial.seed))
    time.sleep(0.5)
    felled = time.time()
    for how in hows:
        with how(scene):
            time.sleep(seconds)
    back = time.time()
    time.sleep(1.5)
    load.finish()
    scene.rest(180)
    trial.took([_first_answer(scene, back)])
    jobs = scene.jobs()
    lost = [f"{job['key']} is {job['status']}" for job in jobs if job["status"] != "succeeded"]
    trial.expect(not lost, f"jobs did not succeed: {lost[:5]}")
    # A try that failed before the breaker opened may have cost one.
    charged = sum(job["attempt"] - 1 for job in jobs)
    trial.expect(charged <= _OPENED, f"{charged} attempts were charged")
    failed = scene.stack.sql(_FAILED_CALLS, scene.name)[0]["count"]
    most = _OPENED + _IN_FLIGHT + min(2 * seconds * len(hows), _PROBES)
    trial.expect(failed <= most, f"{failed} calls failed, more than {most}")
    trial.took(_quiet_lags(scene, felled, back), line=1)


def spoiled(share: float, kinds: tuple[str, ...], trial: Trial) -> None:
    """That share of calls meets an error of these kinds: no worker needs more memory, whoever asks nothing goes on.

    A call that no try brought an answer to makes a dead letter that says so.
    """
    scene = trial.scene
    scene.crew.api()
    workers = scene.crew.workers(2)
    before = [memory_mb(worker.pid) for worker in workers]
    for worker in workers:
        forget_peak(worker.pid)
    scene.stack.provider.set_faults(error_rates=dict.fromkeys(kinds, share / len(kinds)))
    felled = time.time()
    load = scene.load(Shape(rate=20, asking=0.7, seed=trial.seed))
    time.sleep(6.0)
    back = time.time()
    scene.stack.provider.reset_faults()
    load.finish()
    scene.rest(180)
    grown = [peak_mb(worker.pid) - had for worker, had in zip(workers, before, strict=True)]
    trial.expect(max(grown) < _GROWTH_MB, f"workers grew by {[round(one) for one in grown]} MB")
    failed = {tuple(row.values()) for row in scene.stack.sql(_FAILED, scene.name)}
    trial.expect(failed <= _DEAD, f"jobs failed as {failed - _DEAD}")
    met = scene.stack.provider.stats()["by_outcome"]
    trial.expect(all(kind in met for kind in kinds), f"calls met only {met}")
    _judge(trial)
    trial.took(_quiet_lags(scene, felled, back))


@contextmanager
def refused(scene: Scene) -> Iterator[None]:
    """Nobody listens at its address."""
    scene.doors.provider.refuse()
    yield
    scene.doors.provider.admit()


@contextmanager
def unavailable(scene: Scene) -> Iterator[None]:
    """Each call is answered 503."""
    with _faults(scene, down="503"):
        yield


@contextmanager
def hanging(scene: Scene) -> Iterator[None]:
    """The network holds every byte."""
    scene.doors.provider.freeze()
    yield
    scene.doors.provider.thaw()


@contextmanager
def late(scene: Scene) -> Iterator[None]:
    """Each answer takes twenty seconds."""
    with _faults(scene, latency="fixed(20000)"):
        yield


@contextmanager
def _faults(scene: Scene, **faults: str) -> Iterator[None]:
    scene.stack.provider.set_faults(**faults)
    yield
    scene.stack.provider.reset_faults()


def _judge(trial: Trial) -> None:
    """What asked may have failed, by answers that no try mends; whatever did not ask has succeeded, uncharged."""
    asking = _asking(trial.scene)
    for job in trial.scene.jobs():
        if job["key"] not in asking:
            trial.expect(job["status"] == "succeeded" and job["attempt"] == 1, f"{job['key']} is {job['status']}")
        elif job["status"] != "succeeded":
            trial.expect(job["status"] == "failed", f"{job['key']} is {job['status']}")


def _quiet_lags(scene: Scene, since: float, until: float) -> list[float]:
    """Seconds from submit to start of the jobs that ask nothing, submitted in that span."""
    asking = _asking(scene)
    quiet = [job for job in scene.jobs() if since < job["created_at"].timestamp() < until and job["key"] not in asking]
    return [(job["started_at"] - job["created_at"]).total_seconds() for job in quiet]


def _asking(scene: Scene) -> set[str]:
    """The keys of the jobs that ask a model."""
    return {str(job["key"]) for job in scene.jobs() if job["asks"]}


def _first_answer(scene: Scene, back: float) -> float:
    """Seconds from the provider's return to the first call that succeeded."""
    rows = scene.stack.sql(
        "select s.ended_at from steps s join jobs j on j.id = s.job_id "
        "where j.tags ? $1 and s.name = 'classify' and s.status = 'succeeded'",
        scene.name,
    )
    ends: list[datetime] = [row["ended_at"] for row in rows]
    return min(end.timestamp() - back for end in ends if end.timestamp() > back)
