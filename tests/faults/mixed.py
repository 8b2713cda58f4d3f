"""Any fault in any order, for as long as wished: `python -m tests.faults.mixed SEED SECONDS [FAULT...]`.

Workers are killed, frozen and stopped, the API, Valkey and PostgreSQL are killed, while clients go on submitting.
Prints the counts, and ends with 1 when something was lost, doubled or ran again.
"""

from __future__ import annotations

import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable

from tests.faults.crew import Crew
from tests.faults.load import Shape
from tests.faults.scene import Scene, stage
from tests.stack import Process

_WORKERS = 3


class Mixed:
    """Each public act is one fault; the crew is whole again before the next in most cases, not in all."""

    def __init__(self, scene: Scene, chance: random.Random) -> None:
        self._scene, self._crew, self._chance = scene, scene.crew, chance

    def kill(self) -> None:
        """A worker, in mid-step."""
        self._scene.kill(self._victim())

    def freeze(self) -> None:
        """A worker, for up to two leases."""
        victim = self._victim()
        self._scene.felled.add(victim.pid)
        victim.process.send_signal(signal.SIGSTOP)
        time.sleep(self._chance.uniform(0.5, 4.0))
        victim.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """A worker, in an orderly way."""
        victim = self._victim()
        self._scene.felled.add(victim.pid)
        assert victim.stop(15) == 0

    def valkey(self) -> None:
        """Killed with everything in it."""
        self._scene.stack.servers.valkey.kill()
        time.sleep(self._chance.uniform(0.0, 1.0))
        self._scene.stack.servers.valkey.start()

    def postgres(self) -> None:
        """Killed, and started on the same files."""
        self._scene.stack.servers.postgres.kill()
        time.sleep(self._chance.uniform(0.0, 0.5))
        self._scene.stack.servers.postgres.start()

    def api(self) -> None:
        """Killed, and started again."""
        self._crew.api().kill()
        self._crew.api()

    def _victim(self) -> Process:
        return self._chance.choice(self._crew.workers(_WORKERS))


FAULTS: dict[str, Callable[[Mixed], None]] = {
    name: getattr(Mixed, name) for name in ("kill", "freeze", "stop", "valkey", "postgres", "api")
}


def run(scene: Scene, seed: int, seconds: float, faults: list[str]) -> int:
    """One run; how much was lost, doubled or ran again."""
    chance = random.Random(seed)
    mixed, counts = Mixed(scene, chance), Counter[str]()
    scene.crew.api()
    scene.crew.workers(_WORKERS)
    load, until = scene.load(Shape(rate=40, step_s=0.1, waiting=0.2, seed=seed)), time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(chance.uniform(0.2, 1.0))
        name = chance.choice(faults)
        FAULTS[name](mixed)
        counts[name] += 1
    scene.crew.workers(_WORKERS)
    load.finish()
    scene.rest(60)
    verdict = scene.verdict()
    found = [*verdict.lost, *verdict.webhooks, *verdict.doubled]
    shown = f"L {len(verdict.lost)} W {len(verdict.webhooks)} D {len(verdict.doubled)} reruns {verdict.reruns}"
    print(f"seed {seed}: {dict(counts)}; {verdict.jobs} jobs {dict(verdict.ended)}; {shown}")
    print("\n".join(found[:20]))
    return len(found)


def main() -> None:
    seed, seconds, faults = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:] or list(FAULTS)
    with stage() as stack:
        found = run(Scene(f"mixed-{seed}", stack, Crew(stack)), seed, seconds, faults)
    sys.exit(found > 0)


if __name__ == "__main__":
    main()
