"""The workflows of the benchmark of caches: one keeps model answers, one whole outputs."""

from __future__ import annotations

from pydantic import BaseModel

from laneway import Cache, Context, Policy, workflow

KEPT = Cache(ttl="1h")


class Question(BaseModel):
    text: str


@workflow("cached-answers", version="1")
async def cached_answers(ctx: Context, question: Question) -> str:
    """Asks the model once; the answer is kept."""
    return await ctx.ask("answer", model="small", prompt=question.text, policy=Policy(cache=KEPT))


@workflow("cached-outputs", version="1", cache=KEPT)
async def cached_outputs(ctx: Context, question: Question) -> str:
    """The same; the output is kept."""
    return await ctx.ask("answer", model="small", prompt=question.text)
