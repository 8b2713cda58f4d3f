"""A slow network: each chunk to and from one part takes its time, and all that happens is that work takes longer."""

from __future__ import annotations

import time

from tests.faults import journals
from tests.faults.load import Shape
from tests.faults.scene import start_lags
from tests.faults.trial import Trial

LATENCY_S = 0.05
PARTS = {"Redis": "valkey", "the database": "postgres", "the AI provider": "provider"}
_SECONDS = 4.0


def slow(trial: Trial) -> None:
    """One part after the other, so much each way: nobody is taken for dead, no step runs again."""
    scene = trial.scene
    scene.crew.api()
    scene.crew.workers(2)
    load, spans = scene.load(Shape(rate=8, asking=0.5, waiting=0.2, seed=trial.seed)), []
    for part in PARTS.values():
        door, began = getattr(scene.doors, part), time.time()
        door.latency_s = LATENCY_S
        time.sleep(_SECONDS)
        spans.append((began, time.time()))
        door.latency_s = 0.0
        time.sleep(1.0)
    trial.rest(load, 60)
    marks, told = scene.marks(), journals.told(scene.told)
    for line, (began, ended) in enumerate(spans):
        trial.took(start_lags(marks, told, began, ended), line)
    trial.expect(not any(job["deaths"] for job in scene.jobs()), "a living worker was taken for dead")
    trial.expect(scene.verdict().reruns == 0, f"{scene.verdict().reruns} steps ran again")
