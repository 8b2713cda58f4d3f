"""`laneway jobs`: a client of the API for the terminal."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from app.cli.case import write_test
from app.cli.client import URL, Key, Url, call
from app.cli.dead import dead, replay
from app.cli.draw import draw_timeline
from app.cli.history import history
from app.cli.receipt import receipt_lines

jobs = typer.Typer(name="jobs", help="Jobs, over the API.", no_args_is_help=True)
jobs.command()(dead)
jobs.command()(replay)
jobs.command(name="test")(write_test)
JobId = Annotated[str, typer.Argument(help="job_...")]


@jobs.command()
def show(job_id: JobId, key: Key, url: Url = URL) -> None:
    """The job, what it went through, its timeline, and its receipt."""
    job = call("GET", url, key, f"/v1/jobs/{job_id}")
    typer.echo(json.dumps(job, indent=2, ensure_ascii=False))
    trace = call("GET", url, key, f"/v1/jobs/{job_id}/trace")
    for line in history(job, trace):
        typer.echo(line)
    typer.echo(draw_timeline(trace))
    for line in receipt_lines(call("GET", url, key, f"/v1/jobs/{job_id}?include=receipt")["receipt"]):
        typer.echo(line)


@jobs.command()
def explain(job_id: JobId, key: Key, url: Url = URL) -> None:
    """One sentence: where the job stands, and why."""
    typer.echo(call("GET", url, key, f"/v1/jobs/{job_id}?include=queue")["queue"]["explanation"])


@jobs.command()
def cancel(job_id: JobId, key: Key, url: Url = URL) -> None:
    """Cancel a job."""
    typer.echo(call("POST", url, key, f"/v1/jobs/{job_id}/cancel")["status"])


@jobs.command()
def retry(
    job_id: JobId,
    key: Key,
    url: Url = URL,
    from_start: Annotated[bool, typer.Option("--from-start", help="Forget finished steps.")] = False,
) -> None:
    """Run a failed, canceled or expired job again."""
    body = {"from": "start"} if from_start else {}
    typer.echo(call("POST", url, key, f"/v1/jobs/{job_id}/retry", body)["status"])
