"""`ctx.embed` in memory: replies in place of a provider."""

from __future__ import annotations

import pytest

from laneway import Context, workflow
from laneway.testing import JobFailed, MemoryJournal, Reply, run


@workflow("embeds", version="1")
async def embeds(ctx: Context, texts: list[str]) -> float:
    """The sum of all numbers of all vectors."""
    vectors = await ctx.embed("vectors", model="small", texts=texts)
    assert all(type(vector) is list for vector in vectors)
    return sum(map(sum, vectors))


async def test_replies_are_vectors_and_are_recorded() -> None:
    journal = MemoryJournal()
    replies = {"vectors": Reply([[0.5, 1.0], [0.25, 0.25]], input_tokens=2)}
    assert await run(embeds, ["a", "b"], replies=replies, journal=journal) == 2.0
    (record,) = journal.records
    assert (record.kind, record.output) == ("embed", b"[[0.5,1.0],[0.25,0.25]]")
    assert await run(embeds, ["a", "b"], journal=journal) == 2.0


async def test_other_texts_under_the_same_record_are_a_mismatch() -> None:
    journal = MemoryJournal()
    await run(embeds, ["a"], replies={"vectors": Reply([[1.0]])}, journal=journal)
    with pytest.raises(JobFailed, match="replay_mismatch"):
        await run(embeds, ["b"], journal=journal)


async def test_a_failure_of_the_provider_is_the_steps() -> None:
    with pytest.raises(JobFailed, match="ValueError"):
        await run(embeds, ["a"], replies={"vectors": ValueError("away")})
