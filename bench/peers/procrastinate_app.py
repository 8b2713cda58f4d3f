"""What procrastinate's API and worker share: the app on PostgreSQL, its one task."""

from __future__ import annotations

from procrastinate import App, PsycopgConnector

from bench.peers.given import DATABASE_URL

app = App(connector=PsycopgConnector(conninfo=DATABASE_URL, min_size=4, max_size=20))


@app.task(name="noop")
async def noop(n: int) -> None:
    """Does nothing: procrastinate keeps no results."""
