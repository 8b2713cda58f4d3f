"""One stack for all dead letters: an API and a worker; a yard for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.dead_letters.yard import Yard
from tests.stack import Stack, running_stack
from tests.supervise.embedded import open_folder

WORKFLOWS = "tests.flows.catalogue,tests.dead_letters.catalogue"


@pytest.fixture(scope="package")
def stack() -> Iterator[Stack]:
    """Running; tests share it and must not stop its processes."""
    with open_folder() as folder, running_stack(folder, LANEWAY_WORKFLOWS=WORKFLOWS) as made:
        made.start_worker()
        made.start_api()
        yield made


@pytest.fixture
def yard(stack: Stack) -> Yard:
    """Empty."""
    return Yard(stack)
