"""Workflows for tests of the contract alone."""

from __future__ import annotations

import asyncio
import os
from typing import Literal

from pydantic import BaseModel

from laneway import Context, Policy, workflow
from tests.flows.catalogue import Answer, Number, Question


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"]
    tricks: list[str]


class Pets(BaseModel):
    """A model with models inside."""

    pets: list[Cat | Dog]
    favourite: Cat | Dog


@workflow("fading", version="1", deprecated="2026-01-01", sunset="2030-01-01")
async def fading_1(ctx: Context, number: Number) -> Number:
    """A version that goes."""
    return number


@workflow("fading", version="2")
async def fading_2(ctx: Context, number: Number) -> Number:
    """The version that stays."""
    return number


@workflow("pets", version="1")
async def pets(ctx: Context, given: Pets) -> list[Pets]:
    """Nested shapes in and out."""
    return [given]


class Door(BaseModel):
    """A file; the work is done when it exists."""

    path: str


@workflow("gated", version="1")
async def gated(ctx: Context, door: Door) -> Number:
    """Runs until a test lets it end."""
    return Number(n=await ctx.step("wait", opened, door.path))


async def opened(path: str) -> int:
    """Wait a minute for the file."""
    for _ in range(2000):
        if await asyncio.to_thread(os.path.exists, path):
            break
        await asyncio.sleep(0.03)
    return 1


@workflow("asks-again", version="1")
async def asks_again(ctx: Context, question: Question) -> int:
    """Two model calls, one after the other."""
    for n in range(2):
        await ctx.ask("classify", model="small", prompt=f"<item>{question.text}</item>", output=Answer, key=str(n))
    return 2


class Behind(BaseModel):
    """The name of a breaker."""

    breaker: str


@workflow("behind", version="1")
async def behind(ctx: Context, given: Behind) -> int:
    """One step behind a breaker; what it needs is always there."""
    return await ctx.step("reach", reach, policy=Policy(breaker=given.breaker))


async def reach() -> int:
    """Somebody is there."""
    return 1
