"""A stack of its own for each module here: they count everything, and take parts away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack import Stack, running_stack
from tests.supervise.embedded import open_folder


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with open_folder() as made:
        yield made


@pytest.fixture(scope="module")
def stack(folder: Path) -> Iterator[Stack]:
    """An API and two workers; nobody serves `bulk`."""
    with running_stack(folder, LANEWAY_WORKFLOWS="tests.flows.catalogue,tests.flows.family") as made:
        made.start_worker("interactive,standard,delivery")
        made.start_worker("standard")
        made.start_api()
        yield made


@pytest.fixture(scope="module")
def second(stack: Stack, folder: Path) -> Iterator[Stack]:
    """A second API on the same servers, that anybody may watch."""
    inner = folder / "second"
    inner.mkdir()
    extra = {"LANEWAY_WORKFLOWS": "tests.flows.catalogue,tests.flows.family", "LANEWAY_METRICS_OPEN": "true"}
    made = Stack(stack.servers, stack.provider, stack.hooks, inner, extra)
    try:
        made.start_api()
        yield made
    finally:
        made.close()
