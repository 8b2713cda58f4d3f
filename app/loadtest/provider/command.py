"""The command line of the simulated provider, as a typer function."""

from collections.abc import Callable
from typing import Any, TypeVar

import typer
from pydantic import ValidationError

from app.loadtest.provider import flags
from app.loadtest.provider.control import describe
from app.loadtest.provider.fault import FaultSettings
from app.loadtest.provider.options import Options, read_shares
from app.loadtest.provider.server import serve
from app.loadtest.provider.truth import Accuracy, Truth, load_truth

T = TypeVar("T")


def simulate(
    host: flags.Host = "127.0.0.1",
    port: flags.Port = 9100,
    port_file: flags.PortFile = None,
    seed: flags.Seed = 1,
    models: flags.Models = None,
    api_key: flags.ApiKey = None,
    latency: flags.Latency = "lognormal(60,200)",
    first_token: flags.FirstToken = 0.25,
    knee: flags.Knee = None,
    answer_tokens: flags.AnswerTokens = None,
    max_tokens: flags.MaxTokens = None,
    error_rate: flags.ErrorRate = None,
    rpm: flags.Rpm = None,
    tpm: flags.Tpm = None,
    max_in_flight: flags.MaxInFlight = None,
    window: flags.Window = "refill",
    burst_s: flags.BurstS = 10.0,
    limit_headers: flags.LimitHeaders = "none",
    refusal: flags.Refusal = "fixed(0)",
    truth: flags.TruthFile = None,
    accuracy: flags.AccuracyShare = None,
    journal: flags.JournalFile = None,
    fsync: flags.Fsync = False,
    keep_calls: flags.KeepCalls = 200_000,
) -> None:
    """Serve a simulated AI provider over HTTP (OpenAI chat, Anthropic Messages). Its answers are made up."""
    error_rates = _checked("--error-rate", lambda: read_shares(error_rate or []))
    limits = {"rpm": rpm, "tpm": tpm, "max_in_flight": max_in_flight, "window": window, "burst_s": burst_s}
    told = {"limit_headers": limit_headers, "refusal": refusal}
    pace = {"latency": latency, "first_token": first_token, "knee": knee}
    length = {"answer_tokens": answer_tokens, "max_tokens": max_tokens}
    faults = _faults({"error_rates": error_rates, **told, **pace, **length, **limits})
    names = tuple(name for text in models or [] for name in text.split(",") if name)
    known = Truth({}) if truth is None else _checked("--truth", lambda: load_truth(truth))
    shares = Accuracy(_checked("--accuracy", lambda: read_shares(accuracy or [])))
    _serve(Options(host, port, port_file, seed, names, api_key, faults, known, shares, journal, fsync, keep_calls))


def _serve(options: Options) -> None:
    try:
        serve(options)
    except OSError as error:
        raise typer.BadParameter(f"can't serve on {options.host}:{options.port}: {error}") from None


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
