"""What all tests share: those that take minutes are marked `slow`; a PostgreSQL of its own for a module that asks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from app.store.database import Database, open_database
from app.store.migrate import migrate
from tests.store.parts import Store, running_postgres
from tests.supervise.embedded import RunningServer


@pytest.fixture(scope="module")
def postgres() -> Iterator[RunningServer]:
    """Running, and empty."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="module")
async def database(postgres: RunningServer) -> AsyncIterator[Database]:
    """With our schema."""
    await migrate(postgres.url)
    opened = await open_database(postgres.url, 12)
    yield opened
    await opened.close()


@pytest.fixture(scope="module")
def store(database: Database) -> Store:
    """The store's doors on it."""
    return Store(database)


def pytest_configure(config: pytest.Config) -> None:
    """Name the mark."""
    config.addinivalue_line("markers", "slow: takes minutes; runs with `make test-long`, or `-m slow`")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the slow ones out, unless somebody chose by marks or named one."""
    if config.option.markexpr or any("::" in str(argument) for argument in config.args):
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    if slow:
        items[:] = [item for item in items if item not in slow]
        config.hook.pytest_deselected(items=slow)
