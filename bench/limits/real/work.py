"""The workflow of the measured run: one question to the model, as long as the trace says."""

from __future__ import annotations

from pydantic import BaseModel

from bench.limits.real.call import prompt
from laneway import Context, Policy, workflow


class Wanted(BaseModel):
    """The number of a job in its trace, and the tokens of its prompt."""

    n: int
    tokens: int


@workflow("limits-ask", version="1", lane="interactive")
async def limits_ask(ctx: Context, wanted: Wanted) -> int:
    """Asks once and gives back how long the answer was."""
    text = prompt(wanted.n, wanted.tokens)
    return len(await ctx.ask("answer", model="small", prompt=text, policy=Policy(timeout="60s")))
