"""A configuration that is wrong: refused at once, with the key that is wrong, and without any secret."""

from __future__ import annotations

import subprocess
import sys
import time

from tests.faults.trial import Trial
from tests.stack import ROOT

_SECRET = "pepper-that-nobody-may-read-0123456789"
# What is wrong, and the key that the refusal must name.
WRONG = (
    ("[queue]\nring_interval_s = 'soon'\n", "ring_interval_s"),
    ("pool_size = 1000000\n", "pool_size"),
    ("[http]\nmax_body_bytes = -1\n", "max_body_bytes"),
    ("[lanes.express]\nslots = 3\n", "express"),
    ("no_such_key = 1\n", "no_such_key"),
    ("[models.small]\nladder = [{ provider = 'nowhere', model = 'm' }]\n", "nowhere"),
    ("[http\nmax_bo", "laneway.toml"),
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
