"""One stack for the contract: a worker serves every lane but `interactive`, whose jobs therefore stay unstarted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.routers.support import Keys, close
from tests.stack import Stack, running_stack
from tests.supervise.embedded import open_folder

WORKFLOWS = "tests.flows.catalogue,tests.routers.catalogue"


@pytest.fixture(scope="package")
def folder() -> Iterator[Path]:
    with open_folder() as made:
        yield made


@pytest.fixture(scope="package")
def stack(folder: Path) -> Iterator[Stack]:
    """Running; tests share it. Jobs of `noop-fast` (lane interactive) are never started."""
    with running_stack(folder, LANEWAY_WORKFLOWS=WORKFLOWS) as made:
        made.start_worker("standard,bulk,delivery")
        made.start_api()
        yield made
        close(made)


@pytest.fixture(scope="package")
def strict(stack: Stack, folder: Path) -> Iterator[Stack]:
    """A second API on the same database: public webhooks only, bodies of 2 kB, three unstarted jobs a project."""
    extra = {
        "LANEWAY_WORKFLOWS": WORKFLOWS,
        "LANEWAY_WEBHOOKS__ALLOW_PRIVATE": "false",
        "LANEWAY_HTTP__MAX_BODY_BYTES": "2048",
        "LANEWAY_HTTP__MAX_WAIT_S": "1",
        "LANEWAY_QUEUE__MAX_UNSTARTED_PER_PROJECT": "3",
        "LANEWAY_HTTP__PUBLIC_URL": "https://laneway.example/",
    }
    inner = folder / "strict"
    inner.mkdir()
    made = Stack(stack.servers, stack.provider, stack.hooks, inner, extra)
    try:
        made.start_api()
        yield made
    finally:
        made.close()


@pytest.fixture(scope="package")
def keys(stack: Stack) -> Keys:
    """Makes API keys in the stack's database."""
    return Keys(stack.servers.database_url)
