"""The API as the command line calls it: one request, its JSON, or the problem in one line."""

from __future__ import annotations

from typing import Annotated, Any

import httpx
import typer

Url = Annotated[str, typer.Option("--url", envvar="LANEWAY_URL", help="Where the API is.")]
Key = Annotated[str, typer.Option("--key", envvar="LANEWAY_API_KEY", help="An API key.")]
URL = "http://127.0.0.1:8000"
Json = dict[str, Any]


def call(method: str, url: str, key: str, path: str, body: Json | None = None, query: Json | None = None) -> Json:
    """The answer's JSON. Exits with 1 and the problem, or the lack of an answer, on the error stream."""
    headers = {"Authorization": f"Bearer {key}"}
    try:
        response = httpx.request(
            method,
            url.rstrip("/") + path,
            headers=headers,
            json=body,
            params=query,
            timeout=60,
            trust_env=False,
        )
    except httpx.HTTPError as error:
        typer.echo(f"No answer from {url}: {error}", err=True)
        raise typer.Exit(1) from None
    answer: Json = response.json()
    if response.is_error:
        typer.echo(f"{answer.get('code')}: {answer.get('detail')}", err=True)
        raise typer.Exit(1)
    return answer
