"""What a stack with two workers does and takes while nothing is asked of it: `python -m bench.idle`."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import redis

from bench.alone import alone
from bench.contender import Contender, Running
from bench.contenders import DIY, DIY_TUNED, LANEWAY
from bench.figures import Bar, Row
from bench.memory import pss_mb, rss_mb
from bench.place import Ground, ground
from bench.processor import LOAD, Meter, kind_of
from bench.rounds import Sample, at_once, in_turn, series, warm

COUNT = 5
_CONTENDERS = (LANEWAY, DIY_TUNED, DIY)
_SETTLE_S = 3.0
# It hardly varies.
_ROUNDS = 3


def rows(_: Ground, rounds: int, count: int) -> list[Row]:
    """Commands and memory; `count` is the seconds of a look. Each visit has servers of its own, with cold caches."""
    weights: dict[str, str] = {}
    samples = in_turn({one.name: partial(_visit, one, count, weights) for one in _CONTENDERS}, min(rounds, _ROUNDS))
    how = (
        f"For {count} s after 200 jobs and {_SETTLE_S:g} s of rest: API, two workers, PostgreSQL, Valkey, `laneway up`."
    )
    made = {figure: series(samples, _CONTENDERS, figure) for figure in ("commands", "memory")}
    notes = [f"Memory of {name}, MB by part (PSS; RSS): {weight}." for name, weight in weights.items()]
    few, small = Bar("below 50", most=50.0), Bar("below 400 MB", most=400.0)
    return [
        Row("Idle Redis commands", "commands/s", made["commands"], how, few, True, per="second"),
        Row("Idle memory of all processes", "MB", made["memory"], how, small, True, notes, per="second"),
    ]


def _visit(contender: Contender, seconds: int, weights: dict[str, str]) -> Sample:
    with ground() as own:
        place = own.place()
        with contender.start(place, 2) as running:
            at_once(warm(running, workers=True))
            time.sleep(_SETTLE_S)
            used, before = Meter(running.parts), _commands(place.redis_url)
            time.sleep(seconds)
            commands = _commands(place.redis_url) - before - 1
            memory = _memory(running, pss_mb)
            resident = _memory(running, rss_mb)
            weights[contender.name] = ", ".join(f"{kind} {memory[kind]:.0f}; {resident[kind]:.0f}" for kind in memory)
            processor_ms = {part: ms for part, ms in used.ms_each(seconds).items() if part != LOAD}
            return Sample({"commands": commands / seconds, "memory": sum(memory.values())}, processor_ms)


def _commands(redis_url: str) -> int:
    """How many the server has processed."""
    with redis.Redis.from_url(redis_url) as connection:
        return int(connection.info("stats")["total_commands_processed"])


def _memory(running: Running, measure: Callable[[int], float]) -> dict[str, float]:
    """By kind of part."""
    found: dict[str, float] = {}
    for name, pid in running.parts.items():
        found[kind_of(name)] = found.get(kind_of(name), 0.0) + measure(pid)
    return found


if __name__ == "__main__":
    alone(rows, COUNT)
