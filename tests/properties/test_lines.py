"""Any order of submit, claim, end, cancel, retry and recover with two ordering keys, on a real PostgreSQL.

Of a key one live job at most is not held back, and one exactly while any lives; each end lets the earliest follow.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from app.domain import ids
from app.domain.job import TERMINAL, Claimed, Status
from app.store.database import open_database
from app.store.leaves import Leave
from app.store.migrate import migrate
from tests.store.parts import PROJECT, Store, running_postgres

T = TypeVar("T")
PICKS = st.integers(0, 10_000)
ENDS = st.sampled_from(sorted(TERMINAL))
_ROWS = "select id, status, reason from jobs where lane = $1"


@dataclass(slots=True)
class Place:
    """A job in its line: `held` while another is before it. Its rank in the line is its place in the list of all."""

    id: UUID
    key: str
    held: bool
    live: bool = True
    claim: Claimed | None = None


class Lines(RuleBasedStateMachine):
    """Each rule acts on the store and on the model; after each, the rows are compared."""

    def __init__(self, store: Store, runner: asyncio.Runner) -> None:
        super().__init__()
        self.store, self.runner = store, runner
        self.lane = ids.uuid7().hex
        self.worker = store.worker()
        self.places: list[Place] = []

    @rule(key=st.sampled_from("ab"))
    def submit(self, key: str) -> None:
        job_id = self._await(self.store.submit(self.lane, ordering_key=f"{self.lane}-{key}"))
        self.places.append(Place(job_id, key, held=self._head(key) is not None))

    @rule()
    def claim(self) -> None:
        ready = {place.id for place in self.places if place.live and not place.held and place.claim is None}
        job = self._await(self.worker.claims.claim(self.lane))
        assert (job.id in ready) if job else not ready
        if job:
            self._of(job.id).claim = job

    @rule(pick=PICKS, status=ENDS)
    def end(self, pick: int, status: Status) -> None:
        for place in self._one([place for place in self.places if place.claim], pick):
            assert place.claim is not None
            assert self._await(self.worker.leaves.leave(Leave(place.claim, status, output=b"1"))) is not None
            self._ended(place)

    @rule(pick=PICKS)
    def cancel(self, pick: int) -> None:
        for place in self._one([place for place in self.places if place.live and place.claim is None], pick):
            self._await(self.store.controls.cancel(PROJECT, place.id))
            self._ended(place)

    @rule(pick=PICKS)
    def retry(self, pick: int) -> None:
        for place in self._one([place for place in self.places if not place.live], pick):
            refused = self._await(self.store.controls.retry(PROJECT, place.id, version=None, from_start=False))
            if refused is None:
                place.held, place.live = self._head(place.key) is not None, True

    @rule()
    def lose_the_worker(self) -> None:
        self._await(self.store.controls.recover([self.worker.id], died=False))
        for place in self.places:
            place.claim = None

    @invariant()
    def rows_are_as_the_model_says(self) -> None:
        rows = {row["id"]: row for row in self._await(self._rows())}
        for place in self.places:
            row = rows[place.id]
            assert (Status(row["status"]) not in TERMINAL) == place.live
            assert (row["reason"] == "ordering") == (place.live and place.held)

    def _ended(self, place: Place) -> None:
        place.live, place.claim, was_head = False, None, not place.held
        waiting = [other for other in self.places if other.live and other.held and other.key == place.key]
        if was_head and waiting:
            waiting[0].held = False

    def _head(self, key: str) -> Place | None:
        return next((place for place in self.places if place.live and place.key == key and not place.held), None)

    def _of(self, job_id: UUID) -> Place:
        return next(place for place in self.places if place.id == job_id)

    def _one(self, places: list[Place], pick: int) -> list[Place]:
        return [places[pick % len(places)]] if places else []

    async def _rows(self) -> list[Any]:
        async with self.store.database.connection() as connection:
            return list(await connection.fetch(_ROWS, self.lane))

    def _await(self, what: Awaitable[T]) -> T:
        async def waited() -> T:
            return await what

        return self.runner.run(waited())


@pytest.fixture(scope="module")
def parts() -> Iterator[tuple[Store, asyncio.Runner]]:
    """A store of its own, and the loop that it lives in."""
    with running_postgres() as server, asyncio.Runner() as runner:
        runner.run(migrate(server.url))
        database = runner.run(open_database(server.url, 4))
        yield Store(database), runner
        runner.run(database.close())


def test_lines(parts: tuple[Store, asyncio.Runner]) -> None:
    lines: Any = lambda: Lines(*parts)  # noqa: E731
    chosen = settings(
        max_examples=25, stateful_step_count=40, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(lines, settings=chosen)
