"""One stack that exports to a collector, shared by the tests of traces."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stack import Stack, running_stack
from tests.supervise.embedded import open_folder
from tests.telemetry.collector import Collector, collector

WORKFLOWS = "tests.flows.catalogue,tests.telemetry.catalogue"


@pytest.fixture(scope="session")
def exported() -> Iterator[Collector]:
    """Where the stack's spans go."""
    with collector() as made:
        yield made


@pytest.fixture(scope="session")
def stack(exported: Collector) -> Iterator[Stack]:
    """Running; tests share it and stop nothing. A test of lost workers has the lane `bulk` for its own."""
    with (
        open_folder() as folder,
        running_stack(
            folder,
            LANEWAY_TELEMETRY__OTLP_ENDPOINT=exported.url,
            LANEWAY_WORKFLOWS=WORKFLOWS,
            OTEL_BSP_SCHEDULE_DELAY="50",
        ) as made,
    ):
        made.start_worker("interactive,standard,delivery")
        made.start_api()
        yield made
