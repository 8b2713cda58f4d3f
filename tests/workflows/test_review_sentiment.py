"""The review workflow: the word list decides what is clear, the model only the rest."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from app.engine.catalogue import Catalogue
from app.workflows.review_sentiment import Review, Sentiment, review_sentiment, strip_markup
from laneway.testing import JobFailed, MemoryJournal, run

# Sentences from the rated Amazon reviews, with the raters' mean (Hutto and Gilbert, 2014).
CLEAR = [
    ("this is by far the nicest one, in so many ways.", "positive"),
    ("i love this camera, it is excellent!", "positive"),
    ("horrible, terrible sound and the worst support.", "negative"),
]
UNCLEAR = ["troubleshooting ad-2500 and ad-2600 no picture scrolling b/w.", "the box holds a manual and a cable."]


@pytest.mark.parametrize(("text", "label"), CLEAR)
async def test_clear_reviews_are_decided_without_a_model(text: str, label: str) -> None:
    found = await run(review_sentiment, Review(text=text))
    assert (found.label, found.decided_by) == (label, "local")
    assert 0.67 <= found.confidence <= 0.99


@pytest.mark.parametrize("text", UNCLEAR)
async def test_unclear_reviews_are_asked_about(text: str) -> None:
    journal = MemoryJournal()
    reply = {"label": "neutral", "confidence": 0.7}
    found = await run(review_sentiment, Review(text=text), replies={"classify": reply}, journal=journal)
    assert found == Sentiment(label="neutral", confidence=0.7, decided_by="model")
    assert [record.name for record in journal.records] == ["clean", "score", "classify"]


async def test_an_answer_outside_the_labels_is_repaired() -> None:
    replies = {"classify": [{"label": "great", "confidence": 2}, {"label": "positive", "confidence": 1}]}
    found = await run(review_sentiment, Review(text=UNCLEAR[1]), replies=replies)
    assert found.label == "positive"


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("<p>Good &amp; cheap</p>", "Good & cheap"),
        ("5 < 6 and 7 > 3, <3", "5 < 6 and 7 > 3, <3"),
        ("two  spaces stay", "two  spaces stay"),
        ("&lt;item&gt;x&lt;/item&gt;", "x"),
    ],
)
def test_markup_is_stripped_and_plain_text_stays(text: str, plain: str) -> None:
    assert strip_markup(text) == plain


async def test_nothing_but_markup_is_quarantined() -> None:
    with pytest.raises(JobFailed) as caught:
        await run(review_sentiment, Review(text="<br/> <hr>"))
    assert (caught.value.failure.error_class, caught.value.failure.step) == ("input", "clean")


@pytest.mark.parametrize("value", [{}, {"text": ""}, {"text": "x" * 20_001}, {"text": 3}, {"text": "a", "stars": 5}])
async def test_wrong_inputs_are_refused(value: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        await run(review_sentiment, value)


def test_stripping_hostile_markup_is_fast() -> None:
    assert len(strip_markup("<a" * 10_000)) == 20_000


def test_the_catalogue_has_every_reference_workflow() -> None:
    catalogue = Catalogue.load(["app.workflows"])
    assert catalogue.names() == ["moderate-post", "review-sentiment", "summarize-document"]
    assert catalogue.get("review-sentiment") is review_sentiment
    assert (review_sentiment.lane, review_sentiment.sla_s) == ("standard", 60)
    assert review_sentiment.description.startswith("Tells whether a product review")
