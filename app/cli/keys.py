"""`laneway keys`: create, list and revoke API keys."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from app.cli.start import refuse, settings_or_exit
from app.domain import ids
from app.domain.clock import SYSTEM_CLOCK
from app.jobs.hook import derived_secret
from app.ops.access import SCOPES, Access
from app.settings import Settings
from app.store.database import StoreAway, open_database
from app.store.keys import DEFAULT_PROJECT, Keys

keys = typer.Typer(name="keys", help="API keys. Needs LANEWAY_DATABASE_URL.", no_args_is_help=True)
Result = TypeVar("Result")
_LONGEST = 200


@keys.command()
def create(
    name: Annotated[str, typer.Option(help="What the key is for.")],
    project: Annotated[str, typer.Option(help="The project it belongs to; made if new.")] = DEFAULT_PROJECT,
    scope: Annotated[list[str] | None, typer.Option(help="May be repeated; default: all.")] = None,
    mode: Annotated[str, typer.Option(help="live, or test: calls go to the simulated provider.")] = "live",
) -> None:
    """Print a new key: this once, it is stored nowhere."""
    if mode not in ("live", "test"):
        raise typer.BadParameter("use live or test", param_hint="--mode")
    for option, text in (("--name", name), ("--project", project)):
        if not 1 <= len(text) <= _LONGEST or "\x00" in text:
            raise typer.BadParameter(f"write 1 to {_LONGEST} characters", param_hint=option)
    if "/" in project:
        raise typer.BadParameter("a project's name has no slash: choose another", param_hint="--project")
    try:
        minted = _with(lambda keys, access: access.mint(name, project=project, scopes=scope or SCOPES, mode=mode))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--scope") from None
    typer.echo(minted.text)


@keys.command(name="list")
def list_keys() -> None:
    """Every key: id, state, prefix, name, scopes."""
    for key in _with(lambda keys, access: keys.all()):
        state = "revoked" if key.revoked_at else "expired" if _past(key.expires_at) else "valid"
        typer.echo(f"{ids.show('key', key.id)}  {state:8} {key.prefix}...  {key.name}  {','.join(sorted(key.scopes))}")


@keys.command()
def revoke(key_id: Annotated[str, typer.Argument(help="The id that `list` shows.")]) -> None:
    """End a key within a second, everywhere."""
    try:
        wanted = ids.read("key", key_id)
    except ids.InvalidId as error:
        raise typer.BadParameter(str(error), param_hint="KEY_ID") from None
    if not _with(lambda keys, access: keys.revoke(wanted)):
        typer.echo("There is no valid key with this id.", err=True)
        raise typer.Exit(1)
    typer.echo(f"{key_id} is revoked.")


@keys.command(name="webhook-secret")
def webhook_secret(
    project: Annotated[str, typer.Option(help="The project whose webhooks are to be verified.")] = DEFAULT_PROJECT,
) -> None:
    """Print the secret that signs the webhooks of jobs which brought none of their own."""
    project_id = _with(lambda keys, access: keys.project(project))
    if project_id is None:
        typer.echo(f"There is no project {project!r}.", err=True)
        raise typer.Exit(1)
    typer.echo(derived_secret(_settings().pepper.get_secret_value(), project_id))


def _settings() -> Settings:
    settings = settings_or_exit(needs_servers=False)
    if not settings.database_url:
        refuse("database_url: LANEWAY_DATABASE_URL is not set; `laneway up` keeps its key in DIR/api_key.")
    return settings


def _past(moment: object) -> bool:
    return moment is not None and moment < SYSTEM_CLOCK.now()  # type: ignore[operator]


def _with(act: Callable[[Keys, Access], Awaitable[Result]]) -> Result:
    """Open the database, act, close."""
    settings = _settings()

    async def run() -> Result:
        database = await open_database(settings.database_url, 2)
        try:
            store = Keys(database)
            return await act(store, Access(store, settings.pepper.get_secret_value(), SYSTEM_CLOCK))
        finally:
            await database.close()

    try:
        return asyncio.run(run())
    except StoreAway as error:
        typer.echo(f"The database is away: {error}", err=True)
        raise typer.Exit(1) from None
