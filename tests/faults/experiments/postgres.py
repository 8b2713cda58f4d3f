"""PostgreSQL killed, frozen, locked or full under load: what was acknowledged is stored, and nobody has to restart."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import asyncpg

from tests.faults import journals
from tests.faults.crew import alive, serving
from tests.faults.load import Shape
from tests.faults.scene import Scene, start_lags, taken_up
from tests.faults.trial import Trial

Hurt = Callable[[Scene], AbstractContextManager[None]]
_LOCK = "lock table jobs, workers, steps, events, payloads in access exclusive mode"


def restarted(times: int, pause_s: tuple[float, float], trial: Trial) -> None:
    """So many times, with such pauses between; every other time in an orderly way, else by SIGKILL."""
    scene, back = trial.scene, []
    crew = [scene.crew.api(), *scene.crew.workers(2)]
    postgres = scene.stack.servers.postgres
    load = scene.load(Shape(waiting=0.2, seed=trial.seed))
    for n in range(times):
        time.sleep(trial.chance.uniform(*pause_s))
        (postgres.stop if n % 2 else postgres.kill)()
        postgres.start()
        back.append(time.time())
    time.sleep(0.7)
    trial.rest(load, 60)
    _after(trial, back)
    trial.expect(all(alive(process) for process in crew), "somebody had to be restarted")


def hurt(how: Hurt, seconds: float, trial: Trial) -> None:
    """For so long; afterwards all goes on as if nothing had been: nobody was taken for dead."""
    scene = trial.scene
    crew = [scene.crew.api(), *scene.crew.workers(2)]
    load = scene.load(Shape(waiting=0.2, seed=trial.seed))
    time.sleep(1.0)
    with how(scene):
        time.sleep(seconds)
    back = time.time()
    time.sleep(1.5)
    trial.rest(load, 60)
    _after(trial, [back])
    trial.expect(all(alive(process) for process in crew), "somebody had to be restarted")
    trial.expect(scene.verdict().reruns == 0, f"{scene.verdict().reruns} steps ran again")
    trial.expect(not any(job["deaths"] for job in scene.jobs()), "a living worker was taken for dead")


def partitioned(seconds: float, trial: Trial) -> None:
    """One of two workers is cut off from the database only, and comes back later: his late writes are refused."""
    scene = trial.scene
    scene.crew.api()
    scene.crew.workers(1)
    lonely = scene.crew.worker(LANEWAY_DATABASE_URL=scene.doors.environment["LANEWAY_DATABASE_URL"])
    serving(lonely)
    scene.felled.add(lonely.pid)
    load = scene.load(Shape(step_s=0.15, seed=trial.seed))
    time.sleep(1.5)
    at = time.time()
    scene.doors.postgres.freeze()
    time.sleep(seconds)
    taken = taken_up(scene.marks(), lonely.pid, at)
    scene.doors.postgres.thaw()
    woken = time.time()
    time.sleep(3.0)
    trial.rest(load)
    trial.took(taken)
    trial.expect(taken, "none of his jobs ran elsewhere")
    trial.expect(alive(lonely), "he ended")
    trial.expect(any(mark.pid == lonely.pid and mark.at > woken + 1 for mark in scene.marks()), "he works no more")


@contextmanager
def frozen(scene: Scene) -> Iterator[None]:
    """The network holds every byte."""
    scene.doors.postgres.freeze()
    yield
    scene.doors.postgres.thaw()


@contextmanager
def refused(scene: Scene) -> Iterator[None]:
    """No connection to be had."""
    scene.doors.postgres.refuse()
    yield
    scene.doors.postgres.admit()


@contextmanager
def half_open(scene: Scene) -> Iterator[None]:
    """The connections that stand carry nothing any more, and their other ends keep their locks; new ones work."""
    scene.doors.postgres.forget()
    yield


@contextmanager
def locked(scene: Scene) -> Iterator[None]:
    """Somebody holds every table that matters."""
    with asyncio.Runner() as runner:
        holder = runner.run(asyncpg.connect(scene.stack.servers.database_url))
        runner.run(holder.execute(f"begin; {_LOCK}"))
        yield
        runner.run(holder.execute("rollback"))
        runner.run(holder.close())


@contextmanager
def exhausted(scene: Scene) -> Iterator[None]:
    """Somebody took every connection that the server has, just as the service lost its own."""
    with asyncio.Runner() as runner:
        taken = runner.run(_take_all(scene))
        yield
        runner.run(_give_back(taken))


async def _take_all(scene: Scene) -> list[asyncpg.Connection[asyncpg.Record]]:
    """Nobody of the crew is let in before the last one is taken: who had one could rightly take the others for dead."""
    taken: list[asyncpg.Connection[asyncpg.Record]] = []
    scene.doors.postgres.refuse()
    looks_left = 3  # the server takes a moment to let go of what was cut
    while looks_left:
        try:
            taken.append(await asyncpg.connect(scene.stack.servers.database_url))
        except asyncpg.TooManyConnectionsError:
            looks_left -= 1
            await asyncio.sleep(0.1)
    scene.doors.postgres.admit()
    return taken


async def _give_back(taken: list[asyncpg.Connection[asyncpg.Record]]) -> None:
    for connection in taken:
        await connection.close()


def _after(trial: Trial, back: list[float]) -> None:
    """Times from the return to the first step begun, and from submit to start; and what clients were told."""
    told, marks = journals.told(trial.scene.told), trial.scene.marks()
    trial.took([min(mark.at - at for mark in marks if mark.at > at and mark.edge == "begin") for at in back])
    trial.took([lag for at in back for lag in start_lags(marks, told, at, at + 0.5)], line=1)
    refused = {one.error for one in told if one.status and one.status >= 500}
    trial.expect(refused <= {"reduced_capacity"}, f"refused with {refused}")
