"""Workflows for tests of the contract alone."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from laneway import Context, workflow
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


@workflow("asks-again", version="1")
async def asks_again(ctx: Context, question: Question) -> int:
    """Two model calls, one after the other."""
    for n in range(2):
        await ctx.ask("classify", model="small", prompt=f"<item>{question.text}</item>", output=Answer, key=str(n))
    return 2
