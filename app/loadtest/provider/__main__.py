"""Runs the simulated provider: `python -m app.loadtest.provider --help`."""

import typer

from app.loadtest.provider.command import simulate

if __name__ == "__main__":
    typer.run(simulate)
