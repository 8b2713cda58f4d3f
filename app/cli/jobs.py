"""`laneway jobs`: a client of the API for the terminal."""

from __future__ import annotations

import json
from typing import Annotated, Any

import httpx
import typer

from app.cli.draw import draw_timeline

jobs = typer.Typer(name="jobs", help="Jobs, over the API.", no_args_is_help=True)
Url = Annotated[str, typer.Option("--url", envvar="LANEWAY_URL", help="Where the API is.")]
Key = Annotated[str, typer.Option("--key", envvar="LANEWAY_API_KEY", help="An API key.")]
JobId = Annotated[str, typer.Argument(help="job_...")]
_URL = "http://127.0.0.1:8000"


@jobs.command()
def show(job_id: JobId, key: Key, url: Url = _URL) -> None:
    """The job and its timeline."""
    job = _call("GET", url, key, f"/v1/jobs/{job_id}")
    typer.echo(json.dumps(job, indent=2, ensure_ascii=False))
    typer.echo(draw_timeline(_call("GET", url, key, f"/v1/jobs/{job_id}/trace")))


@jobs.command()
def explain(job_id: JobId, key: Key, url: Url = _URL) -> None:
    """One sentence: where the job stands, and why."""
    typer.echo(_call("GET", url, key, f"/v1/jobs/{job_id}?include=queue")["queue"]["explanation"])


@jobs.command()
def cancel(job_id: JobId, key: Key, url: Url = _URL) -> None:
    """Cancel a job."""
    typer.echo(_call("POST", url, key, f"/v1/jobs/{job_id}/cancel")["status"])


@jobs.command()
def retry(
    job_id: JobId,
    key: Key,
    url: Url = _URL,
    from_start: Annotated[bool, typer.Option("--from-start", help="Forget finished steps.")] = False,
) -> None:
    """Run a failed, canceled or expired job again."""
    body = {"from": "start"} if from_start else {}
    typer.echo(_call("POST", url, key, f"/v1/jobs/{job_id}/retry", body)["status"])


def _call(method: str, url: str, key: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {key}"}
    try:
        response = httpx.request(method, url.rstrip("/") + path, headers=headers, json=body, trust_env=False)
    except httpx.HTTPError as error:
        typer.echo(f"No answer from {url}: {error}", err=True)
        raise typer.Exit(1) from None
    answer: dict[str, Any] = response.json()
    if response.is_error:
        typer.echo(f"{answer.get('code')}: {answer.get('detail')}", err=True)
        raise typer.Exit(1)
    return answer
