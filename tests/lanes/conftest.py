"""One PostgreSQL for all; each test has a lane of its own, so they do not meet."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from app.domain import ids
from app.store.database import Database, open_database
from app.store.migrate import migrate
from tests.lanes.turns import Turns
from tests.store.parts import running_postgres
from tests.supervise.embedded import RunningServer


@pytest.fixture(scope="package")
def postgres() -> Iterator[RunningServer]:
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="package")
async def database(postgres: RunningServer) -> AsyncIterator[Database]:
    await migrate(postgres.url)
    opened = await open_database(postgres.url, 16)
    yield opened
    await opened.close()


@pytest.fixture
def turns(database: Database) -> Turns:
    """An empty lane."""
    return Turns(database, f"lane-{ids.uuid7().hex}")
