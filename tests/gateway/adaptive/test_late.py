"""What is told late: a Redis that stalls makes no call slower."""

from __future__ import annotations

from tests.gateway.adaptive.core import Pool


def _served(pool: Pool, took: float, late_s: float = 0.0) -> None:
    """Sixty calls at once, told together."""
    for _ in range(60):
        pool.ask()
    pool.now += took + late_s
    while pool.flying:
        pool.settle(0, 200, 200, took=took)
    pool.adaptive.beat(pool.state, pool.now, 1)


def test_a_call_took_what_it_took_however_late_that_is_told() -> None:
    pool = Pool(ceiling=60, requests_per_minute=60_000)
    for _ in range(20):
        _served(pool, 1.0)
    cap = pool.view()["cap"]
    for _ in range(3):
        _served(pool, 1.0, late_s=5.0)
    assert pool.view()["cap"] == cap
    for _ in range(3):
        _served(pool, 3.0)
    assert pool.view()["cap"] < cap
