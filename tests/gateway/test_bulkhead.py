"""The slots of a process among pools: a pool alone has them all, one that hangs leaves some to its neighbours."""

from __future__ import annotations

from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from app.domain.clock import SYSTEM_CLOCK
from app.gateway.pools.bulkhead import Bulkhead

_numbers = count()


def made(slots: int = 100) -> Bulkhead:
    return Bulkhead(lambda lane: slots, SYSTEM_CLOCK)


def fill(bulkhead: Bulkhead, pool: str, most: int = 1000, lane: str = "bulk") -> int:
    """Jobs come until one is turned away."""
    for taken in range(most):
        if not bulkhead.enter(lane, pool, f"job{next(_numbers)}"):
            return taken
    return most


def test_a_pool_alone_takes_every_slot() -> None:
    bulkhead = made()
    assert fill(bulkhead, "only") == 100
    assert fill(bulkhead, "only", lane="standard") == 100, "lanes have slots of their own"


def test_one_that_hangs_leaves_a_quarter_and_the_next_one_a_part_of_that() -> None:
    bulkhead = made()
    assert bulkhead.enter("bulk", "good", "first")
    bulkhead.leave("bulk", "good", "first")
    assert fill(bulkhead, "hangs") == 75
    assert fill(bulkhead, "hangs too") == 18
    assert fill(bulkhead, "good") == 5


def test_calls_of_one_job_count_as_one_and_what_ends_is_free_again() -> None:
    bulkhead = made(4)
    bulkhead.enter("bulk", "good", "g")
    for _ in range(50):
        assert bulkhead.enter("bulk", "hangs", "many calls")
    taken = fill(bulkhead, "hangs")
    for _ in range(50):
        bulkhead.leave("bulk", "hangs", "many calls")
    assert fill(bulkhead, "hangs", 1) == 1 and taken >= 1


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=300), st.integers(2, 40))
def test_crowds_leave_a_slot_and_a_quiet_pool_always_finds_one(acts: list[tuple[str, bool]], slots: int) -> None:
    bulkhead, held = made(slots), {name: [] for name in "abc"}  # type: dict[str, list[str]]
    bulkhead.enter("bulk", "quiet", "q")
    bulkhead.leave("bulk", "quiet", "q")
    for pool, comes in acts:
        job = f"job{next(_numbers)}"
        if comes and bulkhead.enter("bulk", pool, job):
            held[pool].append(job)
        elif not comes and held[pool]:
            bulkhead.leave("bulk", pool, held[pool].pop())
        crowds = sum(len(jobs) for jobs in held.values() if len(jobs) > 1)
        assert crowds <= slots - 1 + len(held), "each of the others may have one besides"
        assert bulkhead.enter("bulk", "quiet", job)
        bulkhead.leave("bulk", "quiet", job)
