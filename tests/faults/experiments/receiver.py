"""The receiver of webhooks answers 500 or 410, hangs, or sends a gigabyte: delivered once, or dead and listed."""

from __future__ import annotations

import time
from typing import Any

from tests.faults import journals
from tests.faults.load import Shape
from tests.faults.memory import memory_mb
from tests.faults.trial import Trial
from tests.stack import until

_DELIVERIES = """
select d.status, d.attempts, extract(epoch from d.ended_at - d.created_at)::float8 as lag_s
from deliveries d join jobs j on j.id = d.job_id where j.tags ? $1
"""
_GIGABYTE = 1 << 30
# Of a worker, while a receiver answers with a gigabyte.
_GROWTH_MB = 50
_NEIGHBOURS = 20


def recovers(trial: Trial) -> None:
    """500 to ten requests, then 200: each id arrives in the end, under one id."""
    rows = _answered(trial, {"status": 500, "times": 10}, {})
    trial.expect({row["status"] for row in rows} == {"succeeded"}, "not every webhook was delivered")
    trial.expect(any(row["attempts"] > 1 for row in rows), "nothing was tried again")


def exhausted(trial: Trial) -> None:
    """500 for longer than the schedule: dead, after all of its attempts."""
    ends = {(row["status"], row["attempts"]) for row in _answered(trial, {"status": 500})}
    trial.expect(ends == {("dead", 4)}, f"deliveries ended as {ends}")


def gone(trial: Trial) -> None:
    """410: dead at once."""
    ends = {(row["status"], row["attempts"]) for row in _answered(trial, {"status": 410})}
    trial.expect(ends == {("dead", 1)}, f"deliveries ended as {ends}")


def cut_off(trial: Trial) -> None:
    """Its connections are reset ten times a second, in the middle of whatever they carry."""
    scene = trial.scene
    _begin(trial, {"delay_s": 0.05})
    load = scene.load(Shape(rate=20, hooked=1.0, asking=0, seed=trial.seed, hooks_proxied=True))
    for _ in range(20):
        time.sleep(trial.chance.uniform(0.05, 0.15))
        scene.doors.receiver.cut()
    trial.rest(load, 60)
    rows = scene.stack.sql(_DELIVERIES, scene.name)
    trial.expect(any(row["attempts"] > 1 for row in rows), "nothing was tried again")


def hangs(trial: Trial) -> None:
    """It takes the request and says nothing for good; another endpoint hears at once all the same."""
    _beside_neighbours(trial, {"hang": "status", "times": 10}, {})


def endless(trial: Trial) -> None:
    """It answers with a gigabyte, of which a worker reads no more than it keeps."""
    scene = trial.scene
    workers = scene.crew.workers(2)
    before = [memory_mb(worker.pid) for worker in workers]
    _beside_neighbours(trial, {"body_bytes": _GIGABYTE})
    grown = [memory_mb(worker.pid) - had for worker, had in zip(workers, before, strict=True)]
    trial.expect(max(grown) < _GROWTH_MB, f"workers grew by {[round(one) for one in grown]} MB")
    received = scene.stack.hooks.received(f"/{scene.name}")
    sent = max(one["sent_bytes"] for one in received)
    trial.expect(sent < _GIGABYTE / 10, f"{sent} bytes of an answer were taken")


def _answered(trial: Trial, *answers: dict[str, Any]) -> list[dict[str, Any]]:
    """Every job calls the endpoint, which answers so; the deliveries."""
    scene = trial.scene
    _begin(trial, *answers)
    load = scene.load(Shape(rate=20, hooked=1.0, asking=0, seed=trial.seed))
    time.sleep(1.5)
    trial.rest(load, 60)
    return scene.stack.sql(_DELIVERIES, scene.name)


def _beside_neighbours(trial: Trial, *answers: dict[str, Any]) -> None:
    """Jobs call the bad endpoint, others a good one at another host: T is how late the good one hears of an end."""
    scene = trial.scene
    _begin(trial, *answers)
    load = scene.load(Shape(rate=20, hooked=1.0, asking=0, seed=trial.seed))
    good = f"{scene.name}-good"
    url = f"{scene.stack.hooks.url.replace('127.0.0.1', 'localhost')}/{good}"
    for n in range(_NEIGHBOURS):
        given = {"journal": str(scene.marked), "name": f"{good}-{n}", "steps": 1}
        scene.stack.submit("trail", given, tags=[good], webhook={"url": url})
        time.sleep(0.1)
    trial.rest(load, 90)
    until(lambda: all(row["lag_s"] is not None for row in scene.stack.sql(_DELIVERIES, good)), 10)
    heard = journals.hooks(scene.stack.folder / "hooks", f"/{good}")
    trial.expect(len({hook.job_id for hook in heard}) == len(heard) == _NEIGHBOURS, f"the good one heard {len(heard)}")
    trial.took([row["lag_s"] for row in scene.stack.sql(_DELIVERIES, good)])


def _begin(trial: Trial, *answers: dict[str, Any]) -> None:
    scene = trial.scene
    scene.crew.api()
    scene.crew.workers(2)
    scene.stack.hooks.answer(f"/{scene.name}", *answers)
