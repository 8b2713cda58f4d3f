"""Workflows that depend on a part outside: behind a breaker, with a fallback, or able to do without it."""

from __future__ import annotations

import asyncio
from typing import Any

from pydantic import BaseModel

from laneway import Context, Policy, workflow
from tests.flows.catalogue import note


class Outside(BaseModel):
    """A server on this port gives a line; each try is noted in the journal."""

    port: int
    journal: str
    breaker: str


class Message(BaseModel):
    """What a customer wrote."""

    text: str


class Urgency(BaseModel):
    """How much it hurries."""

    label: str


@workflow("urgency", version="1")
async def urgency(ctx: Context, message: Message) -> Urgency:
    """Asks a model; without one, keywords decide."""
    policy = Policy(tries=2, backoff="10ms", fallback=by_keyword)
    return await ctx.ask("urgency", model="small", prompt=message.text, output=Urgency, policy=policy)


@workflow("asks-plainly", version="1")
async def asks_plainly(ctx: Context, message: Message) -> Urgency:
    """Asks a model, and has no other way."""
    return await ctx.ask("urgency", model="small", prompt=message.text, output=Urgency)


def by_keyword(prompt: str) -> Urgency:
    """Better than nothing."""
    return Urgency(label="urgent" if "at once" in prompt else "calm")


@workflow("reaches", version="1")
async def reaches(ctx: Context, outside: Outside) -> str:
    """Can't do without."""
    return await ctx.step("reach", reach, outside, policy=Policy(breaker=outside.breaker, tries=10, backoff="100ms"))


@workflow("reaches-or-guesses", version="1")
async def reaches_or_guesses(ctx: Context, outside: Outside) -> str:
    """Has another way."""
    policy = Policy(breaker=outside.breaker, tries=2, backoff="10ms", fallback=guess)
    return await ctx.step("reach", reach, outside, policy=policy)


@workflow("does-without", version="1")
async def does_without(ctx: Context, outside: Outside) -> dict[str, Any]:
    """Is delivered without, and completed later; what does not depend on it is done once."""
    line = await ctx.enrich("reach", reach, outside, policy=Policy(tries=2, backoff="10ms"))
    letter = await ctx.step("write", write, line)
    sent = await ctx.step("send", send, outside.journal)
    return {"letter": letter, "sent": sent}


async def reach(outside: Outside) -> str:
    """The line. Raises OSError when nobody is there."""
    note(outside.journal, "try")
    reader, writer = await asyncio.open_connection("127.0.0.1", outside.port)
    try:
        return (await reader.readline()).decode().strip()
    finally:
        writer.close()


async def guess(outside: Outside) -> str:
    """Another answer."""
    return "guessed"


async def write(line: str | None) -> str:
    """With the line or without."""
    return f"Dear {line or 'customer'}"


async def send(journal: str) -> int:
    """What must not happen twice."""
    note(journal, "send")
    return 1
