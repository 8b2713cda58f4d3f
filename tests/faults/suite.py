"""Every fault experiment by name: what is done, what its lines of the table show, and in which runs it stands."""

from __future__ import annotations

from functools import partial

from tests.faults.experiments import (
    alarms,
    api,
    cancels,
    configuration,
    crowds,
    disk,
    mixed,
    neighbours,
    postgres,
    provider,
    receiver,
    restarts,
    slow,
    supervised,
    valkey,
    workers,
)
from tests.faults.scene import LEASE_S
from tests.faults.trial import Experiment, Line, Over

_TAKEN_UP = "kill to the job's next step"
_TO_START = "submit to start"
_LOST_HOST_S = 6.0


def _valkey(title: str, how: valkey.Hurt, seconds: float, *, proxied: bool = False, once: bool = False) -> Experiment:
    """Calls are bounded, work starts meanwhile, and all is well soon after."""
    lines = (
        Line(f"{title}: submits meanwhile", "submit to answer", 2.0, "arq exits, hangs or stalls"),
        Line(f"{title}: work meanwhile", _TO_START),
        Line(f"{title}: work after its return", _TO_START, 2.0),
    )
    return Experiment(partial(valkey.hurt, how, seconds), lines, proxied, once)


def _provider(what: str, seconds: float, *hows: provider.Hurt, proxied: bool = False, once: bool = False) -> Experiment:
    """Calls succeed again soon after its return, no job that asks is lost, and who asks nothing is not held up."""
    lines = (
        Line(f"AI provider {what} for {seconds:g} s", "return to the first answer", 15.0, "three tries fail every job"),
        Line(f"AI provider {what} for {seconds:g} s: jobs that do not ask", _TO_START),
    )
    return Experiment(partial(provider.away, hows, seconds), lines, proxied, once)


def _burst(seconds: float, *, once: bool = False) -> Experiment:
    """Submits are answered at once, and interactive work starts nearly as soon as in the calm before it."""
    title = f"{10 * crowds.RATE:g} jobs/s for {seconds:g} s, ten times the usual"
    lines = (
        Line(f"{title}: accepted submits", "submit to answer", 0.1, p99=True),
        Line("before that: interactive work", _TO_START),
        Line(f"{title}: interactive work", _TO_START, p99=True, over=(2.0, 1)),
    )
    return Experiment(partial(crowds.burst, seconds), lines, once=once)


def _neighbour(words: str, rate: float, seconds: float, *, once: bool = False) -> Experiment:
    """Who asks another provider than the one that hangs is not held up."""
    one = f"asks an AI provider while another, asked by {words} jobs a second, hangs for {seconds:g} s"
    lines = (Line(f"{one}: before", "submit to end"), Line(one, "submit to end", 2.0))
    return Experiment(partial(neighbours.hung, rate, seconds), lines, proxied=True, once=once)


def _flood(
    rate: float, what: str, settings: dict[str, str], *, bar_s: float | None = None, over: Over | None = None
) -> Experiment:
    """The others start nearly as soon as before; or, where every slot is taken, as soon as the next one is free."""
    title = f"one of three tenants sends {crowds.SHARE:.0%} of {rate:g} jobs/s{what}"
    lines = (
        Line(f"{title}: the others before, when all send alike", _TO_START),
        Line(f"{title}: the others", _TO_START, bar_s, "arq starves", p99=True, over=over),
    )
    return Experiment(partial(crowds.flood, rate, settings, 20.0), lines)


def _postgres(title: str, peer: str = "-") -> tuple[Line, ...]:
    """Work goes on soon after."""
    return (
        Line(title, "return to the first step begun", 3.0, peer),
        Line(f"{title}: submitted right after, behind what piled up", _TO_START),
    )


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
    "valkey-away": _valkey("Redis down for 4 s", valkey.away, 4.0),
    "valkey-stopped": _valkey("Redis frozen (SIGSTOP) for 4 s", valkey.stopped, 4.0),
    "valkey-frozen": _valkey("Redis frozen by the network for 4 s", valkey.frozen, 4.0, proxied=True),
    "valkey-half-open": _valkey("connections to Redis half open", valkey.half_open, 4.0, proxied=True),
    "valkey-full": _valkey("Redis out of memory for 4 s", valkey.full, 4.0),
    "valkey-read-only": _valkey("Redis read-only for 4 s", valkey.read_only, 4.0),
    "valkey-away-long": _valkey("Redis down for 5 minutes", valkey.away, 300.0, once=True),
    "valkey-alarms": Experiment(
        alarms.redis_of_no_use,
        (
            Line("Redis out of memory, read-only, frozen, down: the alert that names it", "fault to alert", 10.0),
            Line("Redis out of memory, read-only, frozen, down: its end", "return to resolved"),
        ),
        once=True,
    ),
    "postgres-killed": Experiment(
        partial(postgres.restarted, 3, (0.7, 1.2)), _postgres("PostgreSQL kill -9 and restart x3, a second apart")
    ),
    "postgres-restarted": Experiment(
        partial(postgres.restarted, 6, (5.0, 20.0)),
        _postgres("PostgreSQL restarted every 5 to 20 s, x6", peer="DBOS's chaos suite"),
    ),
    "postgres-locked": Experiment(
        partial(postgres.hurt, postgres.locked, 5.0), _postgres("tables of the database locked for 5 s")
    ),
    "postgres-frozen": Experiment(
        partial(postgres.hurt, postgres.frozen, 9.0), _postgres("database frozen by the network for 9 s"), proxied=True
    ),
    "postgres-refused": Experiment(
        partial(postgres.hurt, postgres.refused, 4.0), _postgres("database refuses connections for 4 s"), proxied=True
    ),
    "postgres-half-open": Experiment(
        partial(postgres.hurt, postgres.half_open, 0.0),
        (
            Line("connections to the database half open: work under way", "fault to the first step begun"),
            Line("connections to the database half open: new work", _TO_START, _LOST_HOST_S),
        ),
        proxied=True,
    ),
    "postgres-exhausted": Experiment(
        partial(postgres.hurt, postgres.exhausted, 5.0), _postgres("all connections of the server taken for 5 s"),
        proxied=True,
    ),
    "postgres-exhausted-long": Experiment(
        partial(postgres.hurt, postgres.exhausted, 60.0), _postgres("all connections of the server taken for 60 s"),
        proxied=True, once=True,
    ),
    "partitioned": Experiment(
        partial(postgres.partitioned, 2 * LEASE_S + 0.5),
        (Line(
            "one worker cut off from the database for two leases", "cut to the job's next step elsewhere", _LOST_HOST_S
        ),),
    ),
    "disk-full": Experiment(
        partial(disk.full, 5.0), (Line("the database's disk full for 5 s", "space again to the first step begun", 3.0),)
    ),
    "provider-refused": _provider("refuses connections", 3.0, provider.refused, proxied=True),
    "provider-503": _provider("answers 503", 3.0, provider.unavailable),
    "provider-hanging": _provider("hangs", 3.0, provider.hanging, proxied=True, once=True),
    "provider-late": _provider("answers 20 s late", 3.0, provider.late, once=True),
    "provider-away-long": _provider(
        "refuses, answers 503, then hangs, each", 100.0, provider.refused, provider.unavailable, provider.hanging,
        proxied=True, once=True,
    ),
    "provider-spoiled": Experiment(
        partial(provider.spoiled, 1 / 3, provider.SPOILED),
        (Line(
            "provider cuts, trickles, stalls, sends half an answer or no JSON, one call in three: jobs that do not ask",
            _TO_START,
        ),),
        once=True,
    ),
    "provider-endless": Experiment(
        partial(provider.spoiled, 2 / 3, ("endless",)),
        (Line("provider answers with 500 MB, two calls in three: jobs that do not ask", _TO_START),),
    ),
    "provider-misshapen": Experiment(
        partial(provider.spoiled, 2 / 3, ("wrong_shape",)),
        (Line("provider answers with JSON of the wrong schema, two calls in three: jobs that do not ask", _TO_START),),
    ),
    "provider-neighbour": _neighbour("ten", 10, 12.0),
    "provider-neighbour-crowded": _neighbour("forty", 40, 12.0, once=True),
    "receiver-recovers": Experiment(
        receiver.recovers, (Line("receiver answers 500 to ten requests, then 200", "-", None, "Svix 27.5 h"),)
    ),
    "receiver-500": Experiment(
        receiver.exhausted, (Line("receiver answers 500 for longer than the (shortened) schedule", "-"),)
    ),
    "receiver-cut": Experiment(
        receiver.cut_off, (Line("connections to the receiver reset ten times a second, for 2 s", "-"),)
    ),
    "receiver-410": Experiment(receiver.gone, (Line("receiver answers 410", "-"),)),
    "receiver-hangs": Experiment(
        receiver.hangs, (Line("receiver hangs: another endpoint's webhooks", "end to the other's receipt", 1.0),)
    ),
    "receiver-endless": Experiment(
        receiver.endless,
        (Line("receiver answers with 1 GB: another endpoint's webhooks", "end to the other's receipt", 1.0),),
    ),
    "configuration": Experiment(
        configuration.refused,
        (Line(f"configuration corrupted in {len(configuration.WRONG)} ways, at boot", "start to refusal", 1.0),),
    ),
    "configuration-running": Experiment(
        configuration.refused_while_running,
        (
            Line(
                f"configuration corrupted in {len(configuration.WRONG) + 1} ways below a running system",
                "change to the alert that names it", 10.0,
            ),
            Line("configuration made good again below a running system", "change to resolved"),
        ),
        once=True,
    ),
    "slow-network": Experiment(
        slow.slow,
        tuple(Line(f"{slow.LATENCY_S * 1000:g} ms each way to {part}", _TO_START, 4.0) for part in slow.PARTS),
        proxied=True,
    ),
    "rolling-ten": Experiment(
        partial(restarts.rolling, 1.0),
        (Line(
            f"{restarts.RESTARTS} rolling SIGTERM restarts of APIs and workers below `laneway up`, drain 1 s",
            "SIGTERM to exit", 30.0, "arq fails the job at the 6th",
        ),),
    ),
    "rolling-ten-long": Experiment(
        partial(restarts.rolling, 25.0),
        (Line("the same, drain 25 s (the default), longer jobs", "SIGTERM to exit", 30.0),),
        once=True,
    ),
    "rolling": Experiment(
        restarts.each_worker_once,
        (Line(f"SIGTERM each worker once, drain {restarts.DRAIN_S:g} s, long jobs", "SIGTERM to exit", 30.0),),
    ),
    "burst": _burst(10.0),
    "burst-long": _burst(60.0, once=True),
    "tenant-flood": _flood(80.0, "", {}, over=(1.5, 0)),
    "tenant-backlog": _flood(200.0, ", far more than there are slots", crowds.FEW_SLOTS, bar_s=0.3),
    "mixed": Experiment(partial(mixed.mixed, 20.0), (Line("any of these in any order for 20 s", "-"),)),
}  # fmt: skip

# In `make faults`: in CI, under four minutes. Those with one crew stand together.
SHORT = (
    "worker-killed", "worker-points", "worker-frozen", "api-killed", "cancels", "valkey-killed",
    "valkey-stopped", "valkey-full", "postgres-killed", "postgres-locked", "receiver-recovers", "provider-503",
    "postgres-half-open", "valkey-frozen", "disk-full", "rolling-ten", "worker-supervised", "poison",
)  # fmt: skip
