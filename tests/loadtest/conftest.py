"""One provider for the tests that share it; each test starts with no fault, no written answer and an empty log."""

from collections.abc import Iterator

import pytest

from tests.loadtest.provider_process import ProviderProcess, running_provider


@pytest.fixture(scope="package")
def shared_provider() -> Iterator[ProviderProcess]:
    with running_provider("--seed", "7") as provider:
        yield provider


@pytest.fixture
def provider(shared_provider: ProviderProcess) -> ProviderProcess:
    shared_provider.reset_faults()
    shared_provider.clear_answers()
    shared_provider.clear_calls()
    return shared_provider
