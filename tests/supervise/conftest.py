"""Fixtures of the parent's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.supervise.embedded import Embedded, embedded, open_folder


@pytest.fixture
def folder() -> Iterator[Path]:
    """A temporary folder that the servers' user can pass through."""
    with open_folder() as path:
        yield path


@pytest.fixture(scope="module")
def servers() -> Iterator[Embedded]:
    """Servers that the module's tests share and leave running."""
    with embedded() as running:
        yield running
