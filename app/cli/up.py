"""`laneway up`: the whole stack in the foreground, for one machine."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from app.settings import ConfigurationError, Settings, load_settings
from app.settings.stray import stray_prices
from app.store.database import open_database
from app.store.workers import Workers
from app.supervise.commands import EXIT_CONFIG
from app.supervise.plan import Plan
from app.supervise.supervisor import supervise

# The children end by themselves within `drain_s`; the parent waits this much longer before it kills.
_DRAIN_MARGIN_S = 5.0


def up(
    data: Annotated[Path, typer.Option(help="Folder for data, key and logs; made at the first start.")] = Path(
        ".laneway"
    ),
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8000,
    api: Annotated[int, typer.Option(min=1, max=64, help="API processes; they share the port.")] = 1,
    workers: Annotated[int, typer.Option(min=0, max=64, help="Worker processes.")] = 2,
    verbose: Annotated[bool, typer.Option("--verbose", help="Pass the children's output through.")] = False,
) -> None:
    """Serve everything: API, workers, and embedded PostgreSQL and Valkey unless their URLs are given. Ctrl-C stops."""
    folder = data.expanduser().absolute()
    try:
        settings = load_settings(folder)
    except ConfigurationError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(EXIT_CONFIG) from None
    for doubt in stray_prices(settings):
        _say(f"warning: {doubt}")
    plan = plan_of(settings, data=folder, host=host, port=port, api=api, workers=workers, verbose=verbose)
    raise typer.Exit(asyncio.run(supervise(plan, release, _say)))


def plan_of(settings: Settings, *, data: Path, host: str, port: int, api: int, workers: int, verbose: bool) -> Plan:
    """What the options and the settings ask for together. `data` is absolute."""
    key = settings.bootstrap_key
    return Plan(
        data=data,
        host=host,
        port=port,
        api=api,
        workers=workers,
        verbose=verbose,
        database_url=settings.database_url,
        redis_url=settings.redis_url,
        bootstrap_key=key.get_secret_value() if key else None,
        postgres_bin=settings.postgres_bin,
        valkey_bin=settings.valkey_bin,
        config=settings.config.absolute() if settings.config else None,
        simulate=not settings.takes_test_keys,
        providers=bool(settings.providers),
        drain_s=settings.drain_s + _DRAIN_MARGIN_S,
    )


async def release(database_url: str, process_id: UUID) -> None:
    """Declare a dead child gone, so that its jobs are taken over at once. Raises StoreAway."""
    database = await open_database(database_url, 2)
    try:
        await Workers(database, process_id).release(process_id)
    finally:
        await database.close()


def _say(line: str) -> None:
    """To the terminal; a terminal that is gone must not stop an orderly end."""
    try:
        typer.echo(line)
    except OSError:
        return
