"""A configuration that is wrong, at boot or on a running system: the wrong key is named, and no secret."""

from __future__ import annotations

import socket
import subprocess
import sys
import time

from tests.faults.crew import alive
from tests.faults.experiments.alarms import detail, expect_told, seconds_until_resolved, seconds_until_said
from tests.faults.load import Shape
from tests.faults.trial import Trial
from tests.ops.alarms import told
from tests.stack import ROOT

_SECRET = "pepper-that-nobody-may-read-0123456789"
_GOOD = "pool_size = 8\n"
# What is wrong, and the key that the refusal must name.
WRONG = (
    ("[queue]\nring_interval_s = 'soon'\n", "ring_interval_s"),
    ("pool_size = 1000000\n", "pool_size"),
    ("[http]\nmax_body_bytes = -1\n", "max_body_bytes"),
    ("[lanes.express]\nslots = 3\n", "express"),
    ("no_such_key = 1\n", "no_such_key"),
    ("[models.small]\nladder = [{ provider = 'nowhere', model = 'm' }]\n", "nowhere"),
    (
        f"[providers.own]\ndialect = 'openai'\nbase_url = 'http://127.0.0.1:1/v1'\napi_key = '{_SECRET}'\n",
        "providers.own.api_key",
    ),
    ("[http\nmax_bo", "not valid TOML"),
)


def refused(trial: Trial) -> None:
    """At boot, of an API and of a worker."""
    stack = trial.scene.stack
    path = stack.folder / f"{trial.scene.name}-laneway.toml"
    environment = {**stack.environment, "LANEWAY_CONFIG": str(path)}
    for wrong, key in WRONG:
        path.write_text(f'pepper = "{_SECRET}"\n{wrong}')
        for words in (("serve", "--port", "0"), ("work",)):
            began = time.monotonic()
            done = subprocess.run(
                [sys.executable, "-m", "app", *words],
                cwd=ROOT, env=environment, capture_output=True, text=True, timeout=20, check=False,
            )  # fmt: skip
            trial.took([time.monotonic() - began])
            said = done.stdout + done.stderr
            trial.expect(done.returncode == 78, f"{wrong!r}: {words[0]} ended with {done.returncode}")
            trial.expect(key in said.replace(trial.scene.name, ""), f"{wrong!r}: {key} is not named: {said[-200:]}")
            trial.expect(_SECRET not in said, f"{wrong!r}: the secret was said")


def refused_while_running(trial: Trial) -> None:
    """The file is spoiled in all these ways, then removed: the system goes on as it is, and an alert says why."""
    scene = trial.scene
    path, key = scene.stack.folder / f"{scene.name}-laneway.toml", f"configuration:{socket.gethostname()}"
    path.write_text(_GOOD)
    scene.crew.use({"LANEWAY_CONFIG": str(path)})
    crew = [scene.crew.api(), *scene.crew.workers(2)]
    load, before = scene.load(Shape(rate=10, seed=trial.seed)), told(scene.stack)
    for wrong, named in WRONG:
        path.write_text(f'pepper = "{_SECRET}"\n{wrong}')
        trial.took([seconds_until_said(scene, key, named)])
        trial.expect(_SECRET not in detail(scene, key), f"{wrong!r}: the secret stands in the alert")
    path.unlink()
    trial.took([seconds_until_said(scene, key, "there is no file")])
    path.write_text(_GOOD)
    trial.took([seconds_until_resolved(scene, key)], line=1)
    trial.rest(load)
    expect_told(trial, before, key, 1)
    trial.expect(all(alive(process) for process in crew), "somebody ended")
    trial.expect(not any(_SECRET in process.log.read_text() for process in crew), "the secret stands in a log")
