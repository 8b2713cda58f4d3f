"""One whole stack for the flows: an API, a worker, a provider, a receiver."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.flows.lanes import Lanes
from tests.stack import Stack, running_stack
from tests.supervise.embedded import open_folder


@pytest.fixture(scope="package")
def stack() -> Iterator[Stack]:
    """Running; tests share it and must not stop its processes."""
    with open_folder() as folder, running_stack(folder) as made:
        made.start_worker()
        made.start_api()
        yield made


@pytest.fixture(scope="package")
def laneless() -> Iterator[Stack]:
    """Servers and an API without workers: the tests of lanes start their own, and empty the lanes afterwards."""
    extra = {"LANEWAY_WORKFLOWS": "tests.flows.turns", "LANEWAY_LEASE_S": "1"}
    with open_folder() as folder, running_stack(folder, **extra) as made:
        made.start_api()
        yield made


@pytest.fixture
def lanes(laneless: Stack) -> Iterator[Lanes]:
    """Empty lanes."""
    made = Lanes(laneless)
    yield made
    made.close()
