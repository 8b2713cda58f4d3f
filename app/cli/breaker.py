"""`laneway breaker`: shows the breaker of a part that steps name, and forces it open or closed."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, aclosing
from typing import Annotated, Literal

import typer

from app.bell.redis import open_redis
from app.cli.start import refuse, settings_or_exit
from app.gateway.breakers.breaker import Breakers
from app.gateway.breakers.dependency import Dependency
from app.gateway.redis.reach import RedisAway
from app.settings import Settings
from app.store.audits import Act
from app.store.database import StoreAway, open_database
from app.store.keys import DEFAULT_PROJECT, Keys
from app.store.levers import KeptLevers

State = Literal["open", "closed", "auto"]


def breaker(
    name: Annotated[str, typer.Argument(help="As the steps have it: Policy(breaker=NAME).")],
    state: Annotated[State | None, typer.Argument(help="Left out, it is only shown; auto: as tries go.")] = None,
    project: Annotated[str, typer.Option(help="Whose it is.")] = DEFAULT_PROJECT,
    test: Annotated[bool, typer.Option("--test", help="That of the jobs of test keys.")] = False,
) -> None:
    """Print whether a breaker is closed, open or half_open, after forcing it by hand where a state is given.

    Needs LANEWAY_DATABASE_URL and LANEWAY_REDIS_URL. Breakers of providers' pools: POST /v1/pools/{id}/breaker.
    """
    settings = settings_or_exit(needs_servers=False)
    for field in ("database_url", "redis_url"):
        if not getattr(settings, field):
            refuse(f"{field}: LANEWAY_{field.upper()} is not set; for `laneway up` it stands in up.json.")
    try:
        typer.echo(asyncio.run(_moved(settings, name, state, project, test)))
    except StoreAway as error:
        typer.echo(f"The database is away: {error}", err=True)
        raise typer.Exit(1) from None
    except RedisAway:
        typer.echo("Redis is away.", err=True)
        raise typer.Exit(1) from None


async def _moved(settings: Settings, name: str, state: State | None, project: str, test: bool) -> str:
    database = await open_database(settings.database_url, 2)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(database.close)
        project_id = await Keys(database).project(project)
        if project_id is None:
            typer.echo(f"There is no project {project!r}.", err=True)
            raise typer.Exit(1)
        dependency, levers = Dependency(project_id, test, name), KeptLevers(database)
        redis = await stack.enter_async_context(aclosing(open_redis(settings.redis_url)))
        breakers = Breakers(redis, standing=levers.of)
        await breakers.recall(dependency)
        if state is not None:
            await breakers.force(dependency, state)
            noted = Act(project_id, None, "breakers.force", None, 0, tags=(name, state))
            await levers.move(dependency.park, "breaker", state, noted)
        return (await breakers.look(dependency)).state
