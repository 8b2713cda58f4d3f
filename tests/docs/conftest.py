"""One service for all pages, started by the README's own command."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.docs.shell import DATABASE_URL, REDIS_URL, Shell, opened
from tests.supervise.embedded import open_folder


@pytest.fixture(scope="package")
def shell() -> Iterator[Shell]:
    """Commands run here; a second database stands for a reader's own PostgreSQL."""
    with open_folder() as folder, opened(folder) as made:
        note = json.loads((folder / ".laneway" / "up.json").read_text())
        asyncio.run(_create_database(note["database_url"]))
        made.addresses[DATABASE_URL] = urlsplit(note["database_url"])._replace(path="/own").geturl()
        made.addresses[REDIS_URL] = f"{note['redis_url']}?db=1"
        yield made


async def _create_database(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("create database own")
    finally:
        await connection.close()
