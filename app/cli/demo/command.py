"""`laneway demo`: fetches the reviews, starts everything, is a client of it, tells what came of it, cleans up."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console

from app.cli.dataset import COUNT, SOURCE, CannotFetch, Review, fetch, read_reviews
from app.cli.demo import report
from app.cli.demo.api import Api, Unexpected, open_api
from app.cli.demo.cast import ACCURACY, Cast, Stage
from app.cli.demo.figures import complaints, measure, off_by
from app.cli.demo.flood import AT_ONCE, flood
from app.cli.demo.modes import CalledBack, called_back, polled, waited
from app.cli.demo.progress import progress
from app.cli.demo.truth import write_truth
from app.domain.clock import SYSTEM_CLOCK
from app.domain.ids import show, uuid7
from app.supervise.errors import CannotStart
from app.supervise.stop import Stop
from app.supervise.watch import Watch

_STOPPED = 130


def demo(
    reviews: Annotated[int, typer.Option(min=1, max=COUNT, help="How many of the reviews.")] = COUNT,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything serving until Ctrl-C.")] = False,
    fetch_only: Annotated[bool, typer.Option("--fetch-only", help="Only fetch the reviews.")] = False,
    data: Annotated[Path, typer.Option(help="Folder of the demo's own servers and logs.")] = Path(".laneway/demo"),
    dataset: Annotated[Path, typer.Option(help="Folder of the fetched reviews.")] = Path("data"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="The API's port; 0 takes a free one.")] = 0,
) -> None:
    """Start everything, put 3,708 human-rated reviews through it, and show what came of it. Exits 0 if all is right."""
    console = Console(highlight=False, soft_wrap=True, markup=False)
    try:
        path, fetched = fetch(dataset)
        chosen = read_reviews(path)[:reviews]
    except (CannotFetch, OSError, ValueError) as error:
        typer.echo(f"The demo has no reviews: {error}", err=True)
        raise typer.Exit(1) from None
    console.print(f"{COUNT:,} reviews rated by people ({SOURCE}) {'fetched to' if fetched else 'are in'} {path}")
    if not fetch_only:
        run = _Run(console, data.expanduser().absolute(), chosen, keep, port, show("demo", uuid7()))
        raise typer.Exit(asyncio.run(run.run()))


@dataclass(frozen=True, slots=True)
class _Run:
    """One run; `tag` marks its jobs."""

    console: Console
    data: Path
    reviews: Sequence[Review]
    keep: bool
    port: int
    tag: str

    async def run(self) -> int:
        """Play, then end every process, whatever happened; the code for the shell."""
        watch, stop = Watch(), Stop()
        with ExitStack() as held:
            held.enter_context(watch.listening())
            held.enter_context(stop.listening(stop.ask))
            cast = Cast(self.data, watch)
            try:
                code = await _unless_stopped(self._play(cast), stop)
                if self.keep and not stop.asked.is_set():
                    await self._serve(cast, stop)
                return code
            except (CannotStart, Unexpected, httpx.HTTPError, OSError) as error:
                typer.echo(f"The demo failed: {error}\nLogs are in {self.data}/logs", err=True)
                return 1
            finally:
                if stop.asked.is_set():
                    self._say("Stopping; Ctrl-C again to end it now.")
                await cast.stop(stop.hurry)

    async def _play(self, cast: Cast) -> int:
        self._say("Starting everything")
        began_s = SYSTEM_CLOCK.monotonic()
        truth = write_truth(self.data, self.reviews)
        stage = await cast.start(truth, self.port)
        self._say(*report.opening(stage, SYSTEM_CLOCK.monotonic() - began_s))
        async with open_api(stage.url, stage.api_key, AT_ONCE + 1) as api:
            called = await self._modes(api, stage)
            wrong = await self._flood(api, stage)
            self._say(*report.timeline_lines(called, await api.trace(called.job["id"])))
        for complaint in wrong:
            typer.echo(f"WRONG: {complaint}", err=True)
        self._say(*report.closing(stage, called.job["id"], str(self.data), self.keep))
        return 1 if wrong else 0

    async def _modes(self, api: Api, stage: Stage) -> CalledBack:
        tag = f"{self.tag}-modes"
        self._say("1. A job that is waited for: POST /v1/workflows/review-sentiment/jobs with Prefer: wait=30")
        self._say(*report.waited_lines(await waited(api, tag)))
        self._say("2. A job that is polled: POST /v1/workflows/moderate-post/jobs, then GET with If-None-Match")
        self._say(*report.polled_lines(await polled(api, tag)))
        self._say("3. A job that calls back: the same with a webhook")
        called = await called_back(api, stage.receiver_url, tag)
        self._say(*report.called_back_lines(called))
        return called

    async def _flood(self, api: Api, stage: Stage) -> list[str]:
        """All reviews; what is wrong with the figures."""
        self._say(f"4. {len(self.reviews):,} reviews at once, {AT_ONCE} submits at a time")
        by_id = {review.id: review for review in self.reviews}
        before = await _provider_calls(stage)
        with progress(self.console, len(self.reviews)) as show:
            jobs = await flood(api, self.reviews, self.tag, show)
        figures = measure(jobs, by_id)
        self._say(*report.figure_lines(figures))
        wrong = complaints(figures, jobs, by_id, await _provider_calls(stage) - before)
        if off_by(figures.accuracy["model"], ACCURACY):
            wrong.append(f"the provider answers truly for {ACCURACY:.0%}, but {figures.accuracy['model']} came out")
        return wrong

    async def _serve(self, cast: Cast, stop: Stop) -> None:
        """Until Ctrl-C. Raises Unexpected when a process ends first."""
        asked, ended = asyncio.create_task(stop.asked.wait()), asyncio.create_task(cast.ended())
        await asyncio.wait({asked, ended}, return_when=asyncio.FIRST_COMPLETED)
        if not stop.asked.is_set():
            raise Unexpected(ended.result())
        ended.cancel()

    def _say(self, *lines: str) -> None:
        for line in lines:
            self.console.print(line)


async def _provider_calls(stage: Stage) -> int:
    """How many calls the simulated provider itself has counted."""
    async with httpx.AsyncClient(trust_env=False) as http:
        return int((await http.get(f"{stage.simulator_url}/sim/stats")).json()["calls"])


async def _unless_stopped(play: Coroutine[Any, Any, int], stop: Stop) -> int:
    """What the play returns; 130 when a signal ended it before."""
    playing, asked = asyncio.create_task(play), asyncio.create_task(stop.asked.wait())
    await asyncio.wait({playing, asked}, return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    if not playing.done():
        playing.cancel()
        await asyncio.wait({playing})
    return _STOPPED if playing.cancelled() else playing.result()
