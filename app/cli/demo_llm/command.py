"""Starts the model and the stack, runs both workflows on real tokens, tells what came of it, cleans up."""

from __future__ import annotations

import asyncio
import textwrap
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.console import Console

from app.cli.demo.api import Unexpected, open_api
from app.cli.demo_llm.cast import LlmCast
from app.cli.demo_llm.model import missing
from app.cli.demo_llm.play import REVIEWS, Ended, Speed, reviews, speed, summary
from app.cli.draw import draw_timeline
from app.domain.clock import SYSTEM_CLOCK
from app.supervise.errors import CannotStart
from app.supervise.folder import open_data
from app.supervise.stop import Stop
from app.supervise.watch import Watch

_STOPPED = 130


def demo_llm(
    data: Annotated[Path, typer.Option(help="Folder of the demo's own servers and logs.")] = Path(".laneway/demo-llm"),
    timeout_s: Annotated[float, typer.Option(min=1, help="The longest it may take.")] = 300,
) -> None:
    """Run the reference workflows on a real, small language model. Exits 0 if all is right, or if it isn't there."""
    if lacking := missing():
        typer.echo(f"Skipped: {' and '.join(lacking)} cannot be imported; `make demo-llm` installs them where it can.")
        return
    run = _Run(Console(highlight=False, soft_wrap=True, markup=False), data.expanduser().absolute(), timeout_s)
    raise typer.Exit(asyncio.run(run.run()))


@dataclass(frozen=True, slots=True)
class _Run:
    console: Console
    data: Path
    timeout_s: float

    async def run(self) -> int:
        """Play, then end every process, whatever happened; the code for the shell."""
        watch, stop = Watch(), Stop()
        with ExitStack() as held:
            held.enter_context(watch.listening())
            held.enter_context(stop.listening(stop.ask))
            cast = LlmCast(self.data, watch)
            try:
                return await self._until_stopped(cast, stop)
            except TimeoutError:
                return self._failed(f"not done within {self.timeout_s:g} s")
            except (CannotStart, Unexpected, httpx.HTTPError, OSError) as error:
                return self._failed(str(error))
            finally:
                await cast.stop(stop.hurry)

    async def _until_stopped(self, cast: LlmCast, stop: Stop) -> int:
        async with asyncio.timeout(self.timeout_s):
            playing, asked = asyncio.create_task(self._play(cast)), asyncio.create_task(stop.asked.wait())
            try:
                await asyncio.wait({playing, asked}, return_when=asyncio.FIRST_COMPLETED)
                return playing.result() if playing.done() else _STOPPED
            finally:
                asked.cancel()
                playing.cancel()
                await asyncio.wait({playing})

    async def _play(self, cast: LlmCast) -> int:
        began_s = SYSTEM_CLOCK.monotonic()
        open_data(self.data)
        url, key = await cast.open()
        self._say(f"The model and the whole stack serve after {SYSTEM_CLOCK.monotonic() - began_s:.1f} s: {url}/docs")
        self._say("The model is SmolLM2 with 135 million parameters, on one core: it shows plumbing, not quality.")
        async with open_api(url, key, 2) as api:
            self._say("1. review-sentiment: three reviews that its word list leaves to the model")
            asked = await reviews(api)
            self._say(*(line for text, one in zip(REVIEWS, asked, strict=True) for line in _opinion(text, one)))
            self._say("2. summarize-document: a Word file, in pieces that fit a very small context")
            told = await summary(api)
        self._say(*_summarized(told), *_figures(speed([*asked, told])))
        self._say(f"Timeline of {told.job['id']}", textwrap.indent(draw_timeline(told.trace), "   "))
        return 0

    def _say(self, *lines: str) -> None:
        for line in lines:
            self.console.print(line)

    def _failed(self, reason: str) -> int:
        typer.echo(f"The demo failed: {reason}\nLogs are in {self.data}/logs", err=True)
        return 1


def _opinion(text: str, ended: Ended) -> list[str]:
    output = ended.job["output"]
    return [f"   {text}", f"     {output['label']} ({output['confidence']:.2f}), by the {output['decided_by']}"]


def _summarized(ended: Ended) -> list[str]:
    output = ended.job["output"]
    found = f"   {output['kind']}, {output['words']} words, {output['chunks']} pieces, {output['calls']} calls:"
    return [found, textwrap.indent(textwrap.fill(output["summary"], 100), "     ")]


def _figures(found: Speed) -> list[str]:
    return [
        f"   tokens     {found.input_tokens:,} in, {found.output_tokens:,} out in {found.calls} real calls",
        f"   speed      {found.output_tokens / found.busy_s:.1f} tokens/s out, reading the prompts included",
    ]
