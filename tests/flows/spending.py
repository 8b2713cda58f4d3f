"""Workflows that spend."""

from __future__ import annotations

from pydantic import BaseModel

from laneway import Context, Policy, workflow


class Words(BaseModel):
    text: str
    times: int = 1


@workflow("spend", version="1")
async def spend(ctx: Context, words: Words) -> str:
    """One call, which ends within two seconds."""
    return await ctx.ask("say", model="small", prompt=words.text, policy=Policy(timeout="2s"))


@workflow("spend-once", version="1")
async def spend_once(ctx: Context, words: Words) -> str:
    """One call, and no other in its place."""
    return await ctx.ask("say", model="small", prompt=words.text, policy=Policy(timeout="1s", tries=1))


@workflow("spend-long", version="1")
async def spend_long(ctx: Context, words: Words) -> str:
    """One call, which may take its time."""
    return await ctx.ask("say", model="small", prompt=words.text)


@workflow("spend-fast", version="1", lane="interactive")
async def spend_fast(ctx: Context, words: Words) -> str:
    """The same in a lane that only some workers serve."""
    return await ctx.ask("say", model="small", prompt=words.text, policy=Policy(timeout="2s"))


@workflow("spend-much", version="1")
async def spend_much(ctx: Context, words: Words) -> int:
    """Many calls at once."""
    asked = [ctx.ask("say", model="small", prompt=f"{words.text} {n}", key=str(n)) for n in range(words.times)]
    return len(await ctx.gather(*asked))
