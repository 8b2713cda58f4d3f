"""`laneway jobs dead` and `laneway jobs replay`: dead letters by cause, and running them again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

import typer

from app.cli.client import URL, Json, Key, Url, call
from app.domain.clock import SYSTEM_CLOCK
from app.domain.duration import seconds
from app.jobs.view import time_view

_LOOK_S = 0.2
_FIELDS = {
    "workflow": "workflow", "version": "version", "step": "step", "class": "error_class", "code": "error_code",
    "tag": "tag", "since": "since", "until": "until", "disposition": "disposition",
}  # fmt: skip
_HELP = f"NAME=VALUE, may be repeated; names: {', '.join(_FIELDS)}. A time may be an age: since=2h."
Filter = Annotated[list[str] | None, typer.Option("--filter", "-f", help=_HELP)]


def dead(
    key: Key,
    url: Url = URL,
    filters: Filter = None,
    quarantine: Annotated[bool, typer.Option("--quarantine", help="Jobs that failed for their input.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The API's answer as it is.")] = False,
) -> None:
    """Dead letters by cause, the most frequent first."""
    wanted = read_filters(filters or ())
    if quarantine:
        wanted["disposition"] = "quarantine"
    page = call("GET", url, key, "/v1/dead-letters", query={**wanted, "limit": 200})
    if as_json:
        typer.echo(json.dumps(page, indent=2, ensure_ascii=False))
        return
    what = "quarantined job" if wanted.get("disposition") == "quarantine" else "dead letter"
    for line in [*cause_lines(page["data"]), _sum(page, what)]:
        typer.echo(line)


def replay(
    key: Key,
    url: Url = URL,
    job_ids: Annotated[list[str] | None, typer.Argument(metavar="ID", help="job_...")] = None,
    filters: Filter = None,
    from_start: Annotated[bool, typer.Option("--from-start", help="Forget finished steps.")] = False,
    version: Annotated[str | None, typer.Option(help="Run them in this version of the workflow.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would be replayed; do nothing.")] = False,
) -> None:
    """Run dead letters again, by ids or by filter. It goes on when this command is stopped."""
    if bool(job_ids) == bool(filters):
        raise typer.BadParameter("name either ids or a --filter")
    body: Json = {"ids": job_ids} if job_ids else {"filter": read_filters(filters or ())}
    body |= {"from": "start"} if from_start else {}
    body |= {"version": version} if version is not None else {}
    if dry_run:
        page = call("POST", url, key, "/v1/dead-letters/replay", {**body, "dry_run": True})
        for line in [*cause_lines(page["data"]), f"Would replay {_sum(page, 'job')}"]:
            typer.echo(line)
        return
    _follow(url, key, call("POST", url, key, "/v1/dead-letters/replay", body))


def read_filters(given: Sequence[str]) -> dict[str, str]:
    """The API's fields of `NAME=VALUE`s. Raises BadParameter."""
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        field = _FIELDS.get(name.strip())
        if field is None or not equals or not value:
            raise typer.BadParameter(_HELP, param_hint="--filter")
        found[field] = _moment(value) if field in ("since", "until") else value
    return found


def cause_lines(causes: Sequence[Json]) -> list[str]:
    """A line for each cause, and under it the newest job's own words."""
    lines = []
    for cause in causes:
        where = f" in {cause['step']}" if cause["step"] else ""
        what = f"{cause['error_code']} ({cause['error_class']})"
        lines.append(f"{cause['count']:>7}  {cause['workflow']} {cause['version']}{where}: {what}")
        lines.append(
            f"{'':9}{_short(cause['first_at'])} to {_short(cause['last_at'])}, e.g. {cause['sample_job_ids'][0]}"
        )
        if cause["detail"]:
            lines.append(f"{'':9}{cause['detail'].splitlines()[0][:110]}")
    return lines


def _sum(page: Json, what: str) -> str:
    count, causes = page["total"], len(page["data"])
    if not count:
        return f"no {what}s"
    more = " shown" if page["has_more"] else ""
    return f"{count} {what}{'s' * (count != 1)}, {causes} cause{'s' * (causes != 1)}{more}"


def _follow(url: str, key: str, operation: Json) -> None:
    """A bar until the operation has ended, then what became of it."""
    typer.echo(f"{operation['id']}: {operation['total']} to replay")
    with typer.progressbar(length=max(1, operation["total"]), label="replaying", show_pos=True) as bar:
        while not operation["terminal"]:
            asyncio.run(SYSTEM_CLOCK.sleep(_LOOK_S))
            operation = call("GET", url, key, f"/v1/operations/{operation['id']}")
            bar.label = "waiting: the queue is full" if operation["reason"] else "replaying"
            bar.update(operation["done"] - bar.pos)
    skipped = f", {operation['skipped']} skipped: no dead letters any more" if operation["skipped"] else ""
    typer.echo(f"{operation['done']} of {operation['total']} replayed{skipped}.")


def _moment(value: str) -> str:
    """A time as it is, or so long ago."""
    try:
        return time_view(SYSTEM_CLOCK.now() - timedelta(seconds=seconds(value))) or value
    except ValueError:
        return value


def _short(moment: str) -> str:
    """To the second."""
    return moment[:19].replace("T", " ")
