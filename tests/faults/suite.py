"""Every fault experiment by name: what is done, what its lines of the table show, and in which runs it stands."""

from __future__ import annotations

from functools import partial

from tests.faults.experiments import api, cancels, mixed, postgres, restarts, supervised, valkey, workers
from tests.faults.scene import LEASE_S
from tests.faults.trial import Experiment, Line

_TAKEN_UP = "kill to the job's next step"
_TO_START = "submit to start"
_LOST_HOST_S = 6.0

SUITE: dict[str, Experiment] = {
    "worker-killed": Experiment(
        workers.killed,
        (Line(
            f"kill -9 a worker in mid-step, x{workers.KILLS}, nobody tells of it (lost host)", _TAKEN_UP, _LOST_HOST_S,
            "Hatchet about 30 s, Sidekiq 60 s to 1 h, River 1 h, arq 310 s",
        ),),
    ),
    "worker-points": Experiment(
        workers.killed_at_points,
        tuple(
            Line(f"kill -9 a worker at {at.partition(':')[0]}", _TAKEN_UP, _LOST_HOST_S, "at least once for each step")
            for at in workers.POINTS
        ),
    ),
    "worker-frozen": Experiment(
        workers.frozen,
        (Line(
            f"SIGSTOP a worker for {workers.FROZEN_S:g} s (lease {LEASE_S:g} s), then SIGCONT",
            "stop to the job's next step elsewhere", _LOST_HOST_S, "two peers shipped this bug",
        ),),
    ),
    "worker-supervised": Experiment(
        supervised.killed,
        (Line(
            f"kill -9 a worker in mid-step, x{supervised.KILLS}, below `laneway up`", _TAKEN_UP, 2.5,
            "the best measured: 14 and 16 s",
        ),),
    ),
    "poison": Experiment(
        supervised.poison,
        (Line("a job that kills its process every time", "submit to dead letter", None, "Sidekiq: 3 deaths in 72 h"),),
    ),
    "api-killed": Experiment(
        api.killed,
        (
            Line("kill -9 the API between commit and doorbell, under load", "kill to start", 2.0),
            Line("kill -9 the API between doorbell and answer, under load", "kill to start", 2.0),
            Line("kill -9 the API between commit and doorbell, a lone job", "commit to start", 2.0),
        ),
    ),
    "cancels": Experiment(
        cancels.raced, (Line(f"{cancels.COUNT} cancels that race with success", "cancel to end"),)
    ),
    "cancel-dead": Experiment(
        cancels.of_the_dead, (Line("cancel of a job whose worker died", "kill to end", _LOST_HOST_S),)
    ),
    "valkey-killed": Experiment(
        valkey.killed, (Line(f"Redis kill -9, started empty, x{valkey.KILLS}", _TO_START, 4.0, "arq lost 14 %"),)
    ),
    "valkey-away": Experiment(
        partial(valkey.away, 4.0),
        (
            Line("Redis down for 4 s, meanwhile", _TO_START, None, "arq exits, hangs or stalls"),
            Line("Redis down for 4 s, after its return", _TO_START, 2.0),
        ),
    ),
    "postgres-killed": Experiment(
        partial(postgres.killed, 3, (0.7, 1.2)),
        (
            Line("PostgreSQL kill -9 and restart x3, a second apart", "return to the first end of a step", 3.0),
            Line("the same, submitted within 0.5 s after", _TO_START, 3.0),
        ),
    ),
    "rolling": Experiment(
        restarts.each_worker_once,
        (Line(f"SIGTERM each worker once, drain {restarts.DRAIN_S:g} s, long jobs", "SIGTERM to exit", 30.0),),
    ),
    "mixed": Experiment(partial(mixed.mixed, 20.0), (Line("any of these in any order for 20 s", "-"),)),
}  # fmt: skip

# In `make faults`: in CI, under four minutes.
SHORT = (
    "worker-killed", "worker-points", "worker-frozen", "api-killed", "cancels", "cancel-dead", "valkey-killed",
    "valkey-away", "postgres-killed", "rolling", "worker-supervised", "poison",
)  # fmt: skip
