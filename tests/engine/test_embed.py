"""`ctx.embed` in memory: replies in place of a provider."""

from __future__ import annotations

import pytest

from app.domain.errors import TransientError
from laneway import Context, Policy, workflow
from laneway.testing import JobFailed, MemoryJournal, MissingReply, Reply, run


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


async def test_vectors_that_stand_in_no_reply_are_told_how_to() -> None:
    with pytest.raises(MissingReply, match=r"step 'vectors' embeds: .* replies=\{'vectors': Reply\(\[\["):
        await run(embeds, ["a", "b"], replies={"vectors": [[0.5, 1.0], [0.2, 0.4]]})


async def test_other_texts_under_the_same_record_are_a_mismatch() -> None:
    journal = MemoryJournal()
    await run(embeds, ["a"], replies={"vectors": Reply([[1.0]])}, journal=journal)
    with pytest.raises(JobFailed, match="replay_mismatch"):
        await run(embeds, ["b"], journal=journal)


async def test_a_failure_of_the_provider_is_the_steps() -> None:
    with pytest.raises(JobFailed, match="ValueError"):
        await run(embeds, ["a"], replies={"vectors": ValueError("away")})


@pytest.mark.parametrize(
    ("texts", "says"),
    [(["a", ""], "input_invalid.*step 'vectors': text 2 of 2 is empty"), (["", "b"], "text 1 of 2 is empty")],
)
async def test_an_empty_text_is_wrong_input(texts: list[str], says: str) -> None:
    with pytest.raises(JobFailed, match=says):
        await run(embeds, texts)


@workflow("embeds-one", version="1")
async def embeds_one(ctx: Context, text: str) -> int:
    """Forgets the list."""
    return len(await ctx.embed("vectors", model="small", texts=text))


async def test_a_text_for_a_list_is_the_authors_mistake() -> None:
    with pytest.raises(JobFailed, match=r"workflow_error.*step 'vectors': embed takes a list of texts"):
        await run(embeds_one, "abc")


def lengths(texts: list[str]) -> list[list[float]]:
    """A poor man's vectors."""
    return [[float(len(text))] for text in texts]


@workflow("embeds-anyhow", version="1")
async def embeds_anyhow(ctx: Context, fallback: str | None) -> float:
    """Has another way: a function, or what is none."""
    policy = Policy(tries=1, fallback=fallback or lengths)
    return sum(map(sum, await ctx.embed("vectors", model="small", texts=["a", "bcd"], policy=policy)))


async def test_a_function_gives_vectors_while_the_model_does_not() -> None:
    assert await run(embeds_anyhow, None, replies={"vectors": TransientError("away")}) == 4.0


async def test_vectors_of_another_model_are_none() -> None:
    with pytest.raises(JobFailed, match=r"workflow_error.*embed takes a function only"):
        await run(embeds_anyhow, "large", replies={"vectors": Reply([[1.0], [1.0]])})
