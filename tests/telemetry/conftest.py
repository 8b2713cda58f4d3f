"""One stack that exports to a collector, shared by the tests of traces and secrets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stack import Stack, running_stack
from tests.supervise.embedded import open_folder
from tests.telemetry.collector import Collector, collector
from tests.telemetry.echo import echo

PROVIDER_KEY = "sk-canary-of-the-provider"
_CONFIG = """
[providers.echo]
dialect = "openai"
base_url = "{echo}"
api_key_env = "ECHO_API_KEY"
[providers.sim]
dialect = "openai"
base_url = "{sim}"
[models]
small.ladder = [{{ provider = "sim", model = "small-sim" }}]
echo-400.ladder = [{{ provider = "echo", model = "400" }}]
echo-401.ladder = [{{ provider = "echo", model = "401" }}]
echo-503.ladder = [{{ provider = "echo", model = "503" }}]
echo-unfit.ladder = [{{ provider = "echo", model = "unfit" }}]
echo-html.ladder = [{{ provider = "echo", model = "html" }}]
"""


@pytest.fixture(scope="package")
def exported() -> Iterator[Collector]:
    """Where the stack's spans go."""
    with collector() as made:
        yield made


@pytest.fixture(scope="package")
def stack(exported: Collector) -> Iterator[Stack]:
    """Running; tests share it and stop nothing. Two tests have a lane each for workers of their own."""
    with (
        open_folder() as folder,
        echo() as echo_url,
        running_stack(
            folder,
            LANEWAY_TELEMETRY__OTLP_ENDPOINT=exported.url,
            LANEWAY_TELEMETRY__LOG_LEVEL="DEBUG",
            LANEWAY_WORKFLOWS="tests.flows.catalogue,tests.telemetry.catalogue",
            LANEWAY_CONFIG=str(folder / "config.toml"),
            OTEL_BSP_SCHEDULE_DELAY="50",
            ECHO_API_KEY=PROVIDER_KEY,
        ) as made,
    ):
        (folder / "config.toml").write_text(_CONFIG.format(echo=echo_url, sim=made.provider.base_url))
        made.start_worker("standard,delivery")
        made.start_api()
        yield made
