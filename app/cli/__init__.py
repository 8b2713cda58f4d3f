"""The command line: a file for each command or group of commands, imported when it is called."""

from __future__ import annotations

import importlib
import sys

import typer

# Each name is a module of this package and the function, or group, of that name in it. A process carries only what its
# own command needs: the supervisor and the simulated provider take a third of an API's memory.
COMMANDS = ("up", "demo", "serve", "work", "migrate", "simulate", "config", "keys", "jobs", "verify")


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
    command_line(wanted or COMMANDS)()


def _whole() -> None:
    """Runs AI workflows in production: `laneway up` starts everything on this machine."""
