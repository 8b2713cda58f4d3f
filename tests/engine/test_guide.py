"""The example of the authors' guide, as it stands there."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from laneway import Cache, Context, Policy, workflow
from laneway.testing import MemoryJournal, run

PROMPT = "Classify: {text}"
DEEP = "Analyse: {text}"


class Review(BaseModel):
    """What comes in."""

    text: str


class Sentiment(BaseModel):
    """What goes out."""

    label: str
    confidence: float


def strip_markup(text: str) -> str:
    """The text without its tags."""
    return text.replace("<b>", "").replace("</b>", "")


@workflow("review-sentiment", version="1", lane="standard", sla="60s")
async def review_sentiment(ctx: Context, review: Review) -> Sentiment:
    """What the API docs show for this workflow."""
    clean = await ctx.step("clean", strip_markup, review.text)
    quick = await ctx.ask(
        "classify",
        model="small",
        prompt=PROMPT.format(text=clean),
        output=Sentiment,
        policy=Policy(tries=4, timeout="30s", cache=Cache(ttl="24h", tags=("reviews",))),
    )
    if quick.label == "neutral":
        return quick
    return await ctx.ask("analyse", model="large", prompt=DEEP.format(text=clean), output=Sentiment)


@pytest.mark.parametrize(("label", "asked"), [("neutral", ["classify"]), ("positive", ["classify", "analyse"])])
async def test_the_example_runs(label: str, asked: list[str]) -> None:
    journal = MemoryJournal()
    replies = {"classify": {"label": label, "confidence": 0.5}, "analyse": {"label": "positive", "confidence": 0.9}}
    found = await run(review_sentiment, Review(text="<b>Good</b>"), replies=replies, journal=journal)
    assert found.label == label
    assert [record.name for record in journal.records] == ["clean", *asked]
    assert review_sentiment.description == "What the API docs show for this workflow."
