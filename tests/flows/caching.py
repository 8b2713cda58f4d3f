"""Workflows whose answers, steps and outputs are known once they were made; they note what they did outside."""

from __future__ import annotations

import asyncio

from pydantic import BaseModel

from laneway import Cache, Context, InputError, Policy, workflow
from tests.flows.catalogue import note

HOUR = Cache(ttl="1h", tags=("hour",))


class Asked(BaseModel):
    """`journal` gets a line each time that a step runs; the step takes `step_s`."""

    text: str
    journal: str = ""
    step_s: float = 0.0


class Said(BaseModel):
    label: str


@workflow("answers", version="1")
async def answers(ctx: Context, asked: Asked) -> Said:
    """Asks a model, whose answer is kept."""
    return await ctx.ask("say", model="small", prompt=asked.text, output=Said, policy=Policy(cache=HOUR))


@workflow("outputs", version="1", cache=HOUR, default=True)
async def outputs(ctx: Context, asked: Asked) -> Said:
    """Asks a model; the job's output is kept."""
    await ctx.step("work", work, asked.journal, asked.step_s)
    return await ctx.ask("say", model="small", prompt=asked.text, output=Said)


@workflow("outputs", version="2", cache=HOUR)
async def outputs_2(ctx: Context, asked: Asked) -> Said:
    """The same in another version."""
    return Said(label="2")


@workflow("brief", version="1", cache=Cache(ttl="1s"))
async def brief(ctx: Context, asked: Asked) -> Said:
    """Its output is kept for a second."""
    await ctx.step("work", work, asked.journal, 0.0)
    return Said(label="brief")


@workflow("fails", version="1", cache=HOUR)
async def fails(ctx: Context, asked: Asked) -> Said:
    """Never has an output."""
    await ctx.step("work", work, asked.journal, asked.step_s)
    raise InputError("no")


async def work(journal: str, seconds: float) -> None:
    """Notes that it ran."""
    if journal:
        note(journal, "work")
    await asyncio.sleep(seconds)


@workflow("steps", version="1")
async def steps(ctx: Context, asked: Asked) -> str:
    """Its step's result is kept."""
    return await ctx.step("make", make, asked.text, asked.journal, asked.step_s, policy=Policy(cache=HOUR))


async def make(text: str, journal: str, seconds: float) -> str:
    """Notes that it ran."""
    await work(journal, seconds)
    return text.upper()


class Texts(BaseModel):
    texts: list[str]


@workflow("embeds", version="1")
async def embeds(ctx: Context, given: Texts) -> list[int]:
    """Has its texts embedded; how long the vectors are."""
    return [len(vector) for vector in await ctx.embed("vectors", model="small", texts=given.texts)]
