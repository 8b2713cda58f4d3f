"""What a submit takes beside a long queue, and what the queue weighs: half of `python -m bench.backlog`."""

from __future__ import annotations

from bench.claimers import PROJECTS, execute
from bench.claims import FILL
from bench.contender import Running, Who
from bench.contenders import LANEWAY
from bench.figures import Bar, Row
from bench.memory import rss_mb, tables_mb, valkey_mb
from bench.place import Ground, Place
from bench.rounds import Sample, Samples, at_once, in_turn, sent, series, warm

_SUBMITS = 300
_SMALLEST_MB = 0.05
_EMPTY = Who("Laneway, nothing queued", LANEWAY.keeps)


def rows(ground: Ground, rounds: int, count: int) -> list[Row]:
    """p50 and p95, the empty queue standing as the peer."""
    samples: Samples = {LANEWAY.name: [], _EMPTY.name: []}
    notes: list[str] = []

    def visit() -> Sample:
        place = ground.place()
        with LANEWAY.start(place, 0) as running:
            samples[_EMPTY.name].append(at_once(_submits(running)))
            at_once(execute(place, FILL, PROJECTS, count))
            samples[LANEWAY.name].append(at_once(_submits(running)))
            notes[:] = [_weight(place, running, count)]
        return Sample({name: found[-1].figures["p50"] for name, found in samples.items()})

    in_turn({"p50 of submits": visit}, rounds)
    how = f"{_SUBMITS} submits one after another on one connection, before and after {count:,} jobs were queued."
    return [
        _row(samples, count, "p50", how, Bar("within a fifth", ratio=1 / 1.2), notes),
        _row(samples, count, "p95", how),
    ]


def _row(
    samples: Samples, count: int, figure: str, how: str, bar: Bar | None = None, notes: list[str] | None = None
) -> Row:
    found = series(samples, (LANEWAY, _EMPTY), figure)
    return Row(f"Submit beside {count:,} queued, {figure}", "ms", found, how, bar, True, notes or [])


async def _submits(running: Running) -> Sample:
    await warm(running, workers=False)
    load = await sent(running, running.request("noop", False), _SUBMITS, 202, connections=1)
    return Sample({"p50": load.ms(0.5), "p95": load.ms(0.95)})


def _weight(place: Place, running: Running, count: int) -> str:
    tables = at_once(tables_mb(place.database_url))
    told = ", ".join(f"{name} {mb:.1f}" for name, mb in tables.items() if mb >= _SMALLEST_MB)
    each = sum(tables.values()) * 1024 * 1024 / count
    return (
        f"{count:,} queued jobs weigh {sum(tables.values()):.0f} MB in PostgreSQL ({told}), {each:,.0f} bytes each; "
        f"Valkey holds {valkey_mb(place.redis_url):.1f} MB, the API process {rss_mb(running.parts['api-1']):.0f} MB."
    )
