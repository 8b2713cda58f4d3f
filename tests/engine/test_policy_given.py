"""What is no policy is told with the step that was given it."""

from __future__ import annotations

from typing import Any

import pytest

from laneway import Context, workflow
from laneway.testing import JobFailed, run


@workflow("careless", version="1")
async def careless(ctx: Context, way: str) -> str:
    """Gives a name for a policy."""
    given: Any = "fast"
    if way == "step":
        return str(await ctx.step("s", len, "x", policy=given))
    if way == "enrich":
        return str(await ctx.enrich("s", len, "x", policy=given))
    if way == "ask":
        return await ctx.ask("s", model="small", prompt="x", policy=given)
    return str(await ctx.embed("s", model="small", texts=["x"], policy=given))


@pytest.mark.parametrize("way", ["step", "enrich", "ask", "embed"])
async def test_a_wrong_policy_names_its_step(way: str) -> None:
    with pytest.raises(JobFailed, match=r"workflow_error.*step 's' takes policy=Policy\(\.\.\.\), not 'fast'"):
        await run(careless, way)
