"""`laneway config`: validates the configuration and shows what is in force."""

from __future__ import annotations

import json

import typer

from app.cli.start import refuse, settings_or_exit
from app.domain.errors import LanewayError
from app.ops.doubts import doubts
from app.settings import masked
from app.wiring import load_catalogue

config = typer.Typer(name="config", help="The configuration.", no_args_is_help=True)


@config.callback()
def _group() -> None:
    """The configuration."""


@config.command()
def check() -> None:
    """Validate file, environment and workflows; print the effective settings with secrets masked.

    What is valid and yet hardly meant is said as a warning, on standard error.
    """
    settings = settings_or_exit(needs_servers=False)
    try:
        catalogue = load_catalogue(settings)
    except LanewayError as error:
        refuse(str(error))
    for doubt in doubts(settings):
        typer.echo(f"warning: {doubt}", err=True)
    typer.echo(json.dumps({**masked(settings), "catalogue": catalogue.names()}, indent=2, default=str))
