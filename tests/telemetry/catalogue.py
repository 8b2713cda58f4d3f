"""Workflows that wait, retry and fail, and some that are careless with what they were given."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from opentelemetry import trace
from pydantic import BaseModel

from laneway import Context, InputError, Policy, ProcessingError, TransientError, workflow

LEFT: list[Any] = []


class Text(BaseModel):
    text: str


class Label(BaseModel):
    label: str


class Number(BaseModel):
    number: int


@workflow("busy", version="1")
async def busy(ctx: Context, given: Text) -> Label:
    """A keyed step, a model call and a step that needs three tries."""
    await ctx.step("look", look, given.text, key=given.text[:20])
    label = await ctx.ask("classify", model="small", prompt=f"<item>{given.text}</item>", output=Label)
    await ctx.step("store", Flaky(2), given.text, policy=Policy(tries=3, backoff="10ms"))
    return label


@workflow("patient", version="1")
async def patient(ctx: Context, given: Text) -> str:
    """Needs a second attempt, then sleeps too long for its slot."""
    await ctx.step("before", look, given.text)
    await ctx.step("late", Flaky(1, retry_after_s=2.2), given.text, policy=Policy(tries=3, backoff="10ms"))
    await ctx.sleep("nap", "2.2s")
    return await ctx.step("after", look, given.text)


@workflow("careless", version="1")
async def careless(ctx: Context, given: Text) -> str:
    """Fails inside a step with the text in its message, its log, its span, and a task that it leaves behind."""
    return await ctx.step("tell", tell, given.text)


@workflow("careless-outside", version="1")
async def careless_outside(ctx: Context, given: Text) -> str:
    """Fails outside of any step."""
    await ctx.step("look", look, given.text)
    raise ValueError(f"can't use {given.text}")


@workflow("careless-model", version="1")
async def careless_model(ctx: Context, given: Text) -> int:
    """A step whose validation error repeats the text."""
    return await ctx.step("check", check, given.text)


@workflow("careless-input", version="1")
async def careless_input(ctx: Context, given: Text) -> str:
    """Refuses the input in so many words."""
    raise InputError(f"refused: {given.text}")


@workflow("unfit", version="1")
async def unfit(ctx: Context, given: Text) -> Number:
    """The model's answers never fit."""
    return await ctx.ask("count", model="echo-unfit", prompt=f"<item>{given.text}</item>", output=Number)


class Asked(BaseModel):
    text: str
    alias: str


@workflow("asks-anyone", version="1")
async def asks_anyone(ctx: Context, asked: Asked) -> str:
    """One question to an alias of the client's choice, asked once."""
    return await ctx.ask("ask", model=asked.alias, prompt=asked.text, policy=Policy(tries=1))


@workflow("slow", version="1")
async def slow(ctx: Context, given: Text) -> str:
    """Some time with the text in its hands."""
    return await ctx.step("work", work, given.text)


async def work(text: str) -> str:
    """Takes its time."""
    await asyncio.sleep(0.8)
    return text


async def look(text: str) -> str:
    """Nothing much."""
    await asyncio.sleep(0.01)
    return text.upper()


class Flaky:
    """A step that fails the first few times in this process, for each text."""

    def __init__(self, failures: int, retry_after_s: float | None = None) -> None:
        self.failures = failures
        self.retry_after_s = retry_after_s

    async def __call__(self, text: str) -> int:
        LEFT.append(text)
        seen = LEFT.count(text)
        if seen <= self.failures:
            raise TransientError(f"away with {text}", retry_after_s=self.retry_after_s)
        return seen


async def tell(text: str) -> str:
    """Everything that an author may do wrong."""

    async def fails() -> None:
        raise ProcessingError(text)

    LEFT.append(asyncio.get_running_loop().create_task(fails()))
    await asyncio.sleep(0)
    LEFT.pop()
    logging.getLogger("author").warning("looking at %s", text)
    logging.getLogger("author").error(f"looked at {text}")
    with trace.get_tracer("author").start_as_current_span("inside", attributes={"text": text}):
        raise ValueError(f"can't use {text}")


async def check(text: str) -> int:
    """Raises pydantic's ValidationError."""
    return Number.model_validate({"number": text}).number
