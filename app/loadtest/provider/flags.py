"""The command-line flags of the simulated provider: their names, bounds and help."""

from pathlib import Path
from typing import Annotated

import typer

from app.loadtest.provider.fault import ERROR_KINDS
from app.loadtest.provider.latency import SYNTAX

Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")]
PortFile = Annotated[Path | None, typer.Option(help="Write the port here once it listens.")]
Seed = Annotated[int, typer.Option(help="The same seed repeats the same run.")]
Models = Annotated[
    list[str] | None, typer.Option("--model", "--models", help="Serve this model only; repeatable, or a,b,c.")
]
ApiKey = Annotated[str | None, typer.Option(help="Answer 401 to any other key.")]
Latency = Annotated[str, typer.Option(help=f"How long answers take: {SYNTAX}.")]
FirstToken = Annotated[
    float,
    typer.Option(
        min=0, max=1, help="Streams: the share of the latency before the first token; the rest is for the tokens."
    ),
]
Knee = Annotated[int | None, typer.Option(min=1, help="Calls at once above which latency grows in proportion.")]
AnswerTokens = Annotated[
    str | None, typer.Option(help="Tokens of text answers, in the words of --latency; none: a sentence or two.")
]
MaxTokens = Annotated[
    int | None, typer.Option(min=1, help="What a request that names no max_tokens is charged and answered at most.")
]
ErrorRate = Annotated[list[str] | None, typer.Option(help=f"KIND=SHARE, repeatable. Kinds: {', '.join(ERROR_KINDS)}.")]
Rpm = Annotated[int | None, typer.Option(min=1, help="Requests a minute; 429 above.")]
Tpm = Annotated[int | None, typer.Option(min=1, help="Tokens a minute (prompt + max_tokens); 429 above.")]
MaxInFlight = Annotated[int | None, typer.Option(min=1, help="Calls at once; 429 above.")]
Window = Annotated[str, typer.Option(help="How limits count: `refill` (token bucket) or `minute` (counter).")]
BurstS = Annotated[float, typer.Option(help="Size of the token bucket, in seconds of its refill.")]
LimitHeaders = Annotated[str, typer.Option(help="What limits announce: none, retry-after or full.")]
Refusal = Annotated[str, typer.Option(help="How long a 429 takes, in the words of --latency.")]
TruthFile = Annotated[Path | None, typer.Option(help='JSON lines {"item": TEXT, "answer": JSON}.')]
AccuracyShare = Annotated[
    list[str] | None, typer.Option(help="MODEL=SHARE of true answers, repeatable; `*` is any other model (0.9).")
]
JournalFile = Annotated[Path | None, typer.Option(help="Append each arrival and end to this file.")]
Fsync = Annotated[bool, typer.Option("--fsync", help="Each journal line is on disk before the call goes on.")]
KeepCalls = Annotated[int, typer.Option(min=1, help="Calls that /sim/calls remembers.")]
