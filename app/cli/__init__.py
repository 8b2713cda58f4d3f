"""The command line: a file for each command or group of commands, imported when it is called."""

from __future__ import annotations

import importlib
import sys

import typer

from app.settings import ConfigurationError, load_settings
from app.supervise.commands import EXIT_CONFIG

# Each name is a module of this package and the function, or group, of that name in it. A process carries only what its
# own command needs: the supervisor and the simulated provider take a third of an API's memory.
COMMANDS = ("up", "demo", "serve", "work", "migrate", "simulate", "config", "keys", "jobs", "breaker", "verify")

# What runs for long, and is started by others who wait for a word.
_SERVING = {"serve", "work"}


def command_line(names: tuple[str, ...] = COMMANDS) -> typer.Typer:
    """The application with these commands."""
    cli = typer.Typer(name="laneway", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    # One command alone would be taken for the whole application.
    cli.callback()(_whole)
    for name in names:
        found = getattr(importlib.import_module(f"{__name__}.{name}"), name)
        if isinstance(found, typer.Typer):
            cli.add_typer(found)
        else:
            cli.command(name)(found)
    return cli


def main() -> None:
    """Run the command line."""
    wanted = tuple(name for name in COMMANDS if name in sys.argv[1:2])
    if set(wanted) & _SERVING and "--help" not in sys.argv:
        _refuse_early()
    command_line(wanted or COMMANDS)()


def _refuse_early() -> None:
    """A wrong configuration is refused before a second goes by with imports."""
    try:
        load_settings()
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(EXIT_CONFIG)


def _whole() -> None:
    """Runs AI workflows in production: `laneway up` starts everything on this machine."""
