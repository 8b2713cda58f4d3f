"""The disk of the database is full for a while: nothing is acknowledged that is not stored."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.faults import journals
from tests.faults.load import Shape
from tests.faults.scene import stage
from tests.faults.trial import CannotRun, Trial

_SIZE_MB = 224


def full(seconds: float, trial: Trial) -> None:
    """For so long, on a small disk with servers of its own."""
    with _small_disk() as disk, stage(disk / "data") as place:
        trial.scene.crew.end_api()
        trial.scene.crew.end_workers()
        scene = trial.scene = place.scene(trial.scene.name)
        scene.crew.api()
        scene.crew.workers(2)
        load = scene.load(Shape(waiting=0.2, seed=trial.seed))
        time.sleep(1.0)
        filler = disk / "filler"
        _fill(filler)
        time.sleep(seconds)
        filler.unlink()
        back = time.time()
        time.sleep(1.5)
        trial.rest(load, 60)
        marks, told = scene.marks(), journals.told(scene.told)
        refused = {one.error for one in told if one.status and one.status >= 500}
        trial.expect(refused == {"reduced_capacity"}, f"refused with {refused}")
        trial.took([min(mark.at - back for mark in marks if mark.at > back and mark.edge == "begin")])
        trial.judge()


@contextmanager
def _small_disk() -> Iterator[Path]:
    if os.geteuid() != 0:
        raise CannotRun("only root may mount a small disk")
    folder = Path(tempfile.mkdtemp(prefix="laneway-disk-", dir="/tmp"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE_MB}m,mode=711", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        folder.rmdir()
        raise CannotRun(f"no small disk may be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


def _fill(path: Path) -> None:
    """Take every byte that is left."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12):
            with suppress(OSError):
                while file.write(b"x" * size):
                    pass
