"""One simulated provider and one HTTP pool for the tests of the clients."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import pytest_asyncio

from app.clients.http import open_http
from tests.loadtest.provider_process import ProviderProcess, running_provider


@pytest.fixture(scope="package")
def client_provider() -> Iterator[ProviderProcess]:
    with running_provider("--seed", "11") as running:
        yield running


@pytest.fixture
def provider(client_provider: ProviderProcess) -> ProviderProcess:
    client_provider.reset_faults()
    client_provider.clear_answers()
    client_provider.clear_calls()
    return client_provider


@pytest_asyncio.fixture(scope="session")
async def http() -> AsyncIterator[httpx.AsyncBaseTransport]:
    async with open_http() as pool:
        yield pool
