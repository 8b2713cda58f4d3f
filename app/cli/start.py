"""What every long-running command does first: settings, logs, workflows; a refusal ends it with one clear message."""

from __future__ import annotations

import gc
from typing import NoReturn

import typer

from app.domain import hangup
from app.domain.errors import LanewayError
from app.engine.catalogue import Catalogue
from app.ops.doubts import note_doubts
from app.settings import ConfigurationError, Settings, load_settings
from app.supervise.commands import EXIT_CONFIG
from app.telemetry.logs import configure_logs
from app.wiring import load_catalogue


def start(role: str) -> tuple[Settings, Catalogue]:
    """Settings and workflows of this process; exits with 78 when one of them is refused."""
    hangup.hold_off()
    settings = settings_or_exit()
    configure_logs(settings.telemetry.log_level, role)
    try:
        catalogue = load_catalogue(settings)
    except LanewayError as error:
        refuse(str(error))
    note_doubts(settings)
    # What start-up built stays; the collector need not look at it again.
    gc.collect()
    gc.freeze()
    # What a request or a job makes is freed by its counts. The collector looks whenever so many more objects live than
    # before: at its own 700 that is often, with hundreds of jobs in flight, and finds next to nothing.
    gc.set_threshold(50_000, 20, 50)
    return settings, catalogue


def settings_or_exit(needs_servers: bool = True) -> Settings:
    """The settings; exits with 78 and the reason when they are refused."""
    try:
        settings = load_settings()
    except ConfigurationError as error:
        refuse(str(error))
    for name in ("database_url", "redis_url") if needs_servers else ():
        if not getattr(settings, name):
            refuse(f"{name}: LANEWAY_{name.upper()} is not set. `laneway up` brings its own servers; this needs yours.")
    return settings


def refuse(message: str) -> NoReturn:
    """End with the reason."""
    typer.echo(message, err=True)
    raise typer.Exit(EXIT_CONFIG)
