"""`laneway migrate`: brings the database's schema up to date."""

from __future__ import annotations

import typer

from app.cli.start import settings_or_exit
from app.store.database import StoreAway
from app.store.migrate import migrate_now


def migrate() -> None:
    """Upgrade the schema; safe to repeat, and for several at once. Needs LANEWAY_DATABASE_URL."""
    settings = settings_or_exit(needs_servers=False)
    if not settings.database_url:
        typer.echo("database_url: LANEWAY_DATABASE_URL is not set.", err=True)
        raise typer.Exit(78)
    try:
        migrate_now(settings.database_url)
    except StoreAway as error:
        typer.echo(f"The database is away: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo("The schema is up to date.")
