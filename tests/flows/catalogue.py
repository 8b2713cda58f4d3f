"""Workflows for tests: they do little, and note what they did in a journal outside the system."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from laneway import Context, InputError, Policy, ProcessingError, TransientError, workflow


class Number(BaseModel):
    n: int


class Anything(BaseModel):
    value: Any


class Marks(BaseModel):
    """`journal` gets a line for each step that runs: `name step pid`; a step takes `step_s`."""

    journal: str
    name: str
    steps: int = 3
    step_s: float = 0.0


class Wrong(BaseModel):
    kind: str
    journal: str = ""
    times: int = 10**6


class Question(BaseModel):
    text: str


class Answer(BaseModel):
    label: str


@workflow("noop", version="1")
async def noop(ctx: Context, number: Number) -> Number:
    """Gives back what it got."""
    return number


@workflow("noop-fast", version="1", lane="interactive")
async def noop_fast(ctx: Context, number: Number) -> Number:
    """The same in the interactive lane."""
    return number


@workflow("echo", version="1")
async def echo(ctx: Context, given: Anything) -> Anything:
    """Gives back any JSON, through a step."""
    return Anything(value=await ctx.step("same", same, given.value))


@workflow("marks", version="1")
async def marks(ctx: Context, given: Marks) -> Number:
    """Steps in a row, each noted in a journal."""
    done = 0
    for n in range(given.steps):
        done += await ctx.step("mark", mark, given.journal, given.name, str(n), given.step_s, key=str(n))
    return Number(n=done)


@workflow("wrong", version="1")
async def wrong(ctx: Context, given: Wrong) -> Number:
    """Fails in a chosen way, so many times."""
    return Number(n=await ctx.step("fail", fail, given, policy=Policy(tries=3, backoff="20ms")))


@workflow("versioned", version="1")
async def versioned_1(ctx: Context, number: Number) -> str:
    """The first version."""
    return "one"


@workflow("versioned", version="2")
async def versioned_2(ctx: Context, number: Number) -> str:
    """The second version."""
    return "two"


@workflow("asks", version="1")
async def asks(ctx: Context, question: Question) -> Answer:
    """One model call."""
    return await ctx.ask("classify", model="small", prompt=f"<item>{question.text}</item>", output=Answer)


@workflow("asks-until-answered", version="1")
async def asks_until_answered(ctx: Context, question: Question) -> Answer:
    """One model call, soon taken for lost, and made again after a short while."""
    policy = Policy(timeout="400ms", backoff="200ms")
    prompt = f"<item>{question.text}</item>"
    return await ctx.ask("classify", model="small", prompt=prompt, output=Answer, policy=policy)


@workflow("asks-twice", version="1")
async def asks_twice(ctx: Context, question: Question) -> list[str]:
    """Two model calls at once."""
    prompts = [f"<item>{question.text} {side}</item>" for side in ("left", "right")]
    answers = await ctx.gather(
        *(
            ctx.ask("classify", model="small", prompt=prompt, output=Answer, key=str(n))
            for n, prompt in enumerate(prompts)
        )
    )
    return [answer.label for answer in answers]


@workflow("naps", version="1")
async def naps(ctx: Context, given: Marks) -> Number:
    """A step, a durable sleep, a step."""
    await ctx.step("mark", mark, given.journal, given.name, "before", 0.0, key="before")
    await ctx.sleep("nap", f"{given.step_s}s")
    return Number(n=await ctx.step("mark", mark, given.journal, given.name, "after", 0.0, key="after"))


async def same(value: Any) -> Any:
    """The value."""
    return value


async def mark(journal: str, name: str, step: str, seconds: float) -> int:
    """Note the end of a step durably; the sleep stands for the work before it."""
    if seconds:
        await asyncio.sleep(seconds)
    note(journal, f"{name} {step} {os.getpid()}")
    return 1


async def fail(given: Wrong) -> int:
    """Raise what was asked for, until it was raised `times` times."""
    if given.journal:
        note(given.journal, given.kind)
        if lines_of(given.journal) > given.times:
            return 1
    if given.kind == "kill":
        os.kill(os.getpid(), 9)
    raise {
        "input": InputError("bad input"),
        "processing": ProcessingError("bad work"),
        "transient": TransientError("away"),
        "bug": TypeError("a bug"),
    }[given.kind]


def lines_of(journal: str) -> int:
    """How many lines were noted."""
    return Path(journal).read_text().count("\n")


def note(journal: str, line: str) -> None:
    """Append a line that survives this process."""
    handle = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(handle, f"{line}\n".encode())
        os.fsync(handle)
    finally:
        os.close(handle)
