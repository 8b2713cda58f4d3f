"""The command line: a file for each group of commands."""

from __future__ import annotations

import typer

from app.cli.config import config
from app.cli.jobs import jobs
from app.cli.keys import keys
from app.cli.migrate import migrate
from app.cli.serve import serve
from app.cli.simulate import simulate
from app.cli.up import up
from app.cli.work import work

cli = typer.Typer(name="laneway", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
for command in (up, serve, work, migrate, simulate):
    cli.command()(command)
for group in (keys, jobs, config):
    cli.add_typer(group)


def main() -> None:
    """Run the command line."""
    cli()
