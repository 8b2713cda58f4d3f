"""The command line of the simulated provider, as a typer function."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from pydantic import ValidationError

from app.loadtest.provider.control import describe
from app.loadtest.provider.fault import ERROR_KINDS, FaultSettings
from app.loadtest.provider.latency import SYNTAX
from app.loadtest.provider.options import Options, read_shares
from app.loadtest.provider.server import serve
from app.loadtest.provider.truth import Accuracy, Truth, load_truth

T = TypeVar("T")


def simulate(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 9100,
    port_file: Annotated[Path | None, typer.Option(help="Write the port here once it listens.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed repeats the same run.")] = 1,
    models: Annotated[
        list[str] | None, typer.Option("--model", "--models", help="Serve this model only; repeatable, or a,b,c.")
    ] = None,
    api_key: Annotated[str | None, typer.Option(help="Answer 401 to any other key.")] = None,
    latency: Annotated[str, typer.Option(help=f"How long answers take: {SYNTAX}.")] = "lognormal(60,200)",
    error_rate: Annotated[
        list[str] | None, typer.Option(help=f"KIND=SHARE, repeatable. Kinds: {', '.join(ERROR_KINDS)}.")
    ] = None,
    rpm: Annotated[int | None, typer.Option(min=1, help="Requests a minute; 429 above.")] = None,
    tpm: Annotated[int | None, typer.Option(min=1, help="Tokens a minute (prompt + max_tokens); 429 above.")] = None,
    max_in_flight: Annotated[int | None, typer.Option(min=1, help="Calls at once; 429 above.")] = None,
    window: Annotated[
        str, typer.Option(help="How limits count: `refill` (token bucket) or `minute` (counter).")
    ] = "refill",
    burst_s: Annotated[float, typer.Option(help="Size of the bucket, in seconds of its refill.")] = 10.0,
    limit_headers: Annotated[str, typer.Option(help="What limits announce: none, retry-after or full.")] = "none",
    truth: Annotated[Path | None, typer.Option(help='JSON lines {"item": TEXT, "answer": JSON}.')] = None,
    accuracy: Annotated[
        list[str] | None, typer.Option(help="MODEL=SHARE of true answers, repeatable; `*` is any other model (0.9).")
    ] = None,
    journal: Annotated[Path | None, typer.Option(help="Append each arrival and end to this file.")] = None,
    fsync: Annotated[
        bool, typer.Option("--fsync", help="Each journal line is on disk before the call goes on.")
    ] = False,
    keep_calls: Annotated[int, typer.Option(min=1, help="Calls that /sim/calls remembers.")] = 200_000,
) -> None:
    """Serve a simulated AI provider over HTTP (OpenAI chat). Its answers are made up; /sim/ steers it while it runs."""
    faults = {
        "error_rates": _checked("--error-rate", lambda: read_shares(error_rate or [])),
        "latency": latency,
        "rpm": rpm,
        "tpm": tpm,
        "max_in_flight": max_in_flight,
        "window": window,
        "burst_s": burst_s,
        "limit_headers": limit_headers,
    }
    options = Options(
        host=host,
        port=port,
        port_file=port_file,
        seed=seed,
        models=tuple(name for text in models or [] for name in text.split(",") if name),
        api_key=api_key,
        faults=_faults(faults),
        truth=Truth({}) if truth is None else _checked("--truth", lambda: load_truth(truth)),
        accuracy=Accuracy(_checked("--accuracy", lambda: read_shares(accuracy or []))),
        journal=journal,
        fsync=fsync,
        keep_calls=keep_calls,
    )
    try:
        serve(options)
    except OSError as error:
        raise typer.BadParameter(f"can't serve on {host}:{port}: {error}") from None


def _faults(given: dict[str, Any]) -> FaultSettings:
    try:
        return FaultSettings.model_validate(given)
    except ValidationError as error:
        raise typer.BadParameter(describe(error)) from None


def _checked(option: str, read: Callable[[], T]) -> T:
    try:
        return read()
    except (ValueError, OSError) as error:
        raise typer.BadParameter(str(error), param_hint=option) from None
