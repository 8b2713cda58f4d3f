"""Any order of acts on jobs by clients, three workers and the house, on a real PostgreSQL whose time is moved by hand.

How a worker may leave a job comes from the table of transitions. After each act every row is what the model says, and
at the end every invariant of `laneway verify` holds: no job is lost, none ends twice in a life, no write of a former
owner has effect. `make test-long` takes more examples, and looks at the invariants after each act.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from app.store.database import open_database
from app.store.invariants.inspection import Inspection, open_inspection
from app.store.migrate import migrate
from tests.properties.life_house import House
from tests.properties.life_stage import Stage
from tests.store.parts import Store, running_postgres

Parts = tuple[Store, Inspection, asyncio.Runner]


@pytest.fixture(scope="module")
def parts() -> Iterator[Parts]:
    """A store of its own, and the loop that it lives in."""
    with running_postgres() as server, asyncio.Runner() as runner:
        runner.run(migrate(server.url))
        opened = AsyncExitStack()
        database = runner.run(open_database(server.url, 6))
        inspection = runner.run(opened.enter_async_context(open_inspection(server.url)))
        yield Store(database), inspection, runner
        runner.run(opened.aclose())
        runner.run(database.close())


def _run(parts: Parts, examples: int, acts: int, phases: Sequence[Phase], *, thorough: bool) -> None:
    lives: Any = lambda: House(Stage(*parts), thorough)  # noqa: E731
    run_state_machine_as_test(
        lives,
        settings=settings(
            max_examples=examples,
            stateful_step_count=acts,
            deadline=None,
            database=None,
            phases=phases,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_lives(parts: Parts) -> None:
    # To make a failure smaller takes minutes: the long run does.
    _run(parts, 40, 40, [Phase.generate], thorough=False)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_many_long_lives(parts: Parts) -> None:
    _run(parts, 300, 60, [Phase.generate, Phase.shrink], thorough=True)
