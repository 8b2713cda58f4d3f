"""Two AI providers in one configuration: one hangs, and jobs that ask the other go on as if nothing were."""

from __future__ import annotations

import time
from pathlib import Path

from tests.faults.load import Shape
from tests.faults.scene import Scene
from tests.faults.trial import Trial
from tests.stack import until

_CONFIG = """
[providers.hangs]
dialect = "openai"
base_url = "http://127.0.0.1:{port}/v1"

[providers.good]
dialect = "openai"
base_url = "{url}/v1"

[models.small]
ladder = [{{ provider = "hangs", model = "small-1" }}]

[models.other]
ladder = [{{ provider = "good", model = "other-1" }}]
"""
_OTHERS = """
select status, attempt, extract(epoch from ended_at - created_at)::float8 as took_s
from jobs where tags ? $1 order by created_at
"""
_PAUSE_S = 0.1


def hung(rate: float, seconds: float, trial: Trial) -> None:
    """One provider answers nothing for so long, while so many jobs a second ask it; T is the other's jobs, whole."""
    scene = trial.scene
    scene.crew.use({**scene.doors.environment, "LANEWAY_CONFIG": str(_configuration(scene))})
    scene.crew.api()
    scene.crew.workers(2)
    load = scene.load(Shape(rate=rate, asking=1.0, seed=trial.seed))
    calm = _ask_the_other(scene, "calm", 2.0)
    scene.doors.provider.freeze()
    meanwhile = _ask_the_other(scene, "meanwhile", seconds)
    scene.doors.provider.thaw()
    trial.rest(load, 180)
    trial.took(_ended(trial, calm))
    trial.took(_ended(trial, meanwhile), line=1)


def _configuration(scene: Scene) -> Path:
    path = scene.stack.folder / f"{scene.name}-laneway.toml"
    path.write_text(_CONFIG.format(port=scene.doors.provider.port, url=scene.stack.provider.url))
    return path


def _ask_the_other(scene: Scene, when: str, seconds: float) -> str:
    """Jobs that ask the good provider, one after the other; the tag of all."""
    tag, n, end = f"{scene.name}-{when}", 0, time.monotonic() + seconds
    while time.monotonic() < end:
        given = {"journal": f"{scene.marked}-others", "name": f"{tag}-{n}", "steps": 1, "asks": 1, "model": "other"}
        scene.stack.submit("trail", given, tags=[tag])
        time.sleep(_PAUSE_S)
        n += 1
    return tag


def _ended(trial: Trial, tag: str) -> list[float]:
    """Seconds from submit to end of these jobs, each of which must have succeeded at once."""
    stack = trial.scene.stack
    until(lambda: all(row["took_s"] is not None for row in stack.sql(_OTHERS, tag)), 30)
    rows = stack.sql(_OTHERS, tag)
    ends = {(row["status"], row["attempt"]) for row in rows}
    trial.expect(ends == {("succeeded", 1)}, f"jobs that asked the other provider ended as {ends}")
    return [row["took_s"] for row in rows]
