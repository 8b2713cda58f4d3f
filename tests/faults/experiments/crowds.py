"""More is sent than can be done: ten times of it for a while, or nearly all of it by one tenant; others barely wait."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from tests.faults import journals
from tests.faults.journals import Told
from tests.faults.load import Load, Shape, draw
from tests.faults.memory import memory_mb
from tests.faults.scene import Scene, start_lags
from tests.faults.trial import Trial
from tests.routers.support import Keys
from tests.stack import KEY, Process, bearer

RATE = 20.0
SHARE = 0.95
_TENANTS = ("quiet-one", "quiet-two")
_JOB = Shape(rate=RATE, step_s=0.2, steps=(1, 1), hooked=0.1, asking=0.0)
# Two workers of five slots end 50 jobs of 0.2 s a second; the cap is what they do in four seconds.
FEW_SLOTS = {"LANEWAY_QUEUE__MAX_UNSTARTED_PER_PROJECT": "200", "LANEWAY_LANES__STANDARD__SLOTS": "5"}
_WARM_S = 2.0
# Of the API and of each worker, while ten times the load comes in.
_GROWTH_MB = 50
_MOST_RETRY_AFTER_S = 60

Span = tuple[float, float]


def burst(seconds: float, trial: Trial) -> None:
    """Calm for so long, then ten times the submits for so long, while another project's interactive work goes on."""
    scene, crew = trial.scene, _crew(trial.scene, FEW_SLOTS)
    urgent = _clients(trial, replace(_JOB, who="urgent", workflow="trail-now", step_s=0.02), _new_key(scene, "urgent"))
    usual = _clients(trial, replace(_JOB, who="usual"))
    time.sleep(_WARM_S)
    calm = _span(seconds)
    before = [memory_mb(process.pid) for process in crew]
    crowd = _clients(trial, replace(_JOB, who="crowd", rate=9 * RATE))
    tenfold = _span(seconds)
    grown = [memory_mb(process.pid) - had for process, had in zip(crew, before, strict=True)]
    told = _told(trial, (crowd, usual), (urgent,))
    trial.expect(max(grown) < _GROWTH_MB, f"API and workers grew by {[round(one) for one in grown]} MB")
    trial.expect(crowd.refused, "it did not reach the cap")
    trial.took(_answered(told, tenfold))
    trial.took(_lags(scene, told, "urgent", calm), line=1)
    trial.took(_lags(scene, told, "urgent", tenfold), line=2)


def flood(rate: float, settings: dict[str, str], seconds: float, trial: Trial) -> None:
    """Three tenants of one lane send alike for so long, then one of them sends its share of that rate for so long."""
    scene = trial.scene
    _crew(scene, settings)
    each = replace(_JOB, rate=rate * (1 - SHARE) / len(_TENANTS))
    quiet = [_clients(trial, replace(each, who=who), _new_key(scene, who)) for who in _TENANTS]
    usual = _clients(trial, replace(each, who="usual"))
    time.sleep(_WARM_S)
    calm = _span(seconds)
    loud = _clients(trial, replace(_JOB, who="loud", rate=rate * SHARE - each.rate))
    flooded = _span(seconds)
    told = _told(trial, (loud, usual), quiet)
    trial.expect(bool(loud.refused) == bool(settings), f"{loud.refused} of his were refused")
    for line, span in enumerate((calm, flooded)):
        trial.took(_lags(scene, told, "quiet", span), line)


def _crew(scene: Scene, settings: dict[str, str]) -> list[Process]:
    """An API and two workers."""
    scene.crew.use(settings)
    return [scene.crew.api(), *scene.crew.workers(2)]


def _new_key(scene: Scene, name: str) -> str:
    """Of a project of its own."""
    return Keys(scene.stack.servers.database_url).mint(project=f"{scene.name}-{name}").text


def _clients(trial: Trial, shape: Shape, key: str = KEY) -> Load:
    """They submit from now on; no two send at the same times."""
    scene = trial.scene
    own = replace(shape, seed=trial.chance.randrange(1 << 32))
    wanted = draw(own, scene.name, scene.marked, f"{scene.stack.hooks.url}/{scene.name}")
    load = Load(scene.stack.url, bearer(key), scene.told, wanted, refusable=True)
    load.start()
    return load


def _span(seconds: float) -> Span:
    """Now, and the end of so long a sleep."""
    since = time.time()
    time.sleep(seconds)
    return since, time.time()


def _told(trial: Trial, crowd: Sequence[Load], others: Sequence[Load]) -> list[Told]:
    """What all were told, once all is done: only who sent too much was refused, and told when to come back."""
    scene = trial.scene
    for load in (*crowd, *others):
        load.finish()
    scene.rest(60)
    told = journals.told(scene.told)
    refused = [one for one in told if one.status == 429]
    odd = [one for one in told if one.status and not one.id and (one.status, one.error) != (429, "queue_full")]
    trial.expect(not odd, f"{len(odd)} of {len(told)} were answered otherwise: {odd[:2]}")
    in_time = [one for one in refused if 1 <= int(one.retry_after or 0) <= _MOST_RETRY_AFTER_S]
    trial.expect(len(in_time) == len(refused), "a 429 did not say when to come back")
    trial.expect(not sum(load.refused for load in others), "who sent little was refused")
    ends = {(job["status"], job["attempt"]) for job in scene.jobs()}
    trial.expect(ends == {("succeeded", 1)}, f"jobs ended as {ends}")
    return told


def _answered(told: list[Told], span: Span) -> list[float]:
    """From the first submit under a key to its acceptance, of what was sent in that span."""
    first = {one.key: one.asked_at for one in reversed(told)}
    accepted = {one.key: one.at for one in reversed(told) if one.id}
    return [at - first[key] for key, at in accepted.items() if span[0] <= first[key] < span[1]]


def _lags(scene: Scene, told: list[Told], who: str, span: Span) -> list[float]:
    """Submit to start, of what those clients sent in that span."""
    mine = f"{scene.name}-{who}"
    return start_lags(scene.marks(), [one for one in told if one.key.startswith(mine)], *span)
