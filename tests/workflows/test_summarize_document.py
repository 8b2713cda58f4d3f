"""The document workflow: how many calls it makes, what it gives back, and what it does on the real stack."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from app.workflows.pieces import calls
from app.workflows.summarize_document import Document, read, room_for, summarize_document
from laneway.testing import JobFailed, MemoryJournal, MissingReply, run
from tests.stack import Stack, running_stack
from tests.supervise.embedded import open_folder
from tests.workflows.files import base64, docx, encrypted_pdf, pdf

SENTENCE = "The committee met on day {n} and agreed on nothing in particular. "
LONG = "".join(SENTENCE.format(n=n) + ("\n\n" if n % 5 == 0 else "") for n in range(1, 400)).strip()
SMALL: dict[str, Any] = {"max_words": 20, "context_tokens": 1_000}


async def test_a_short_text_is_one_call() -> None:
    journal = MemoryJournal()
    found = await run(summarize_document, {"text": "A few words."}, replies={"summarize": " Short. "}, journal=journal)
    assert (found.summary, found.kind, found.words, found.chunks, found.calls) == ("Short.", "text", 3, 1, 1)
    assert len(journal.calls) == 1


async def test_a_long_text_takes_the_fewest_calls_that_its_room_allows() -> None:
    document = Document(text=LONG, **SMALL)
    room, journal = room_for(document), MemoryJournal()
    replies = {"summarize": "A part.", "combine-1": "Some parts.", "combine-2": "All of it."}
    found = await run(summarize_document, document, replies=replies, journal=journal)
    fewest = -(-len(LONG.encode()) // room.text)
    assert (found.chunks, found.calls) == (fewest, calls(fewest, room.fan_in))
    assert found.summary == "All of it." and len(journal.calls) == found.calls
    assert found.chunks > room.fan_in > 2, "one round does not do"


async def test_answers_longer_than_asked_for_still_come_together() -> None:
    document = Document(text=LONG, **SMALL)
    endless = "Words and words without an end " * 400
    replies = {"summarize": endless, "combine-1": endless, "combine-2": "At last."}
    assert (await run(summarize_document, document, replies=replies)).summary == "At last."


async def test_it_goes_on_from_its_records() -> None:
    journal = MemoryJournal()
    document = Document(text=LONG, **SMALL)
    with pytest.raises(MissingReply):
        await run(summarize_document, document, replies={"summarize": "A part."}, journal=journal)
    asked = len(journal.calls)
    replies = {"combine-1": "Some.", "combine-2": "All."}
    found = await run(summarize_document, document, replies=replies, journal=journal)
    assert found.summary == "All." and asked == found.chunks
    assert len(journal.calls) == found.calls


async def test_an_empty_answer_is_no_summary() -> None:
    with pytest.raises(JobFailed) as caught:
        await run(summarize_document, {"text": "Words."}, replies={"summarize": "  "})
    assert (caught.value.failure.error_class, caught.value.failure.code) == ("processing", "output_invalid")


def test_every_prompt_fits_into_the_context_and_every_word_is_in_one() -> None:
    text = LONG.replace("agreed", "</item> agreed <ITEM")
    document = Document(text=text, **SMALL)
    reading = read(None, text, room_for(document).text)
    assert "".join(reading.pieces) == text.replace("<", "‹")
    room = SMALL["context_tokens"] * 3 - SMALL["max_words"] * 16
    assert max(len(piece.encode()) for piece in reading.pieces) < room


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"text": "a", "content_base64": "YQ=="},
        {"text": ""},
        {"content_base64": "not base64!"},
        {"content_base64": "YQ"},
        {"text": "a", "max_words": 1000, "context_tokens": 1000},
        {"text": "a", "pages": 3},
        {"content_base64": "YQ==" * 4_000_001},
    ],
)
async def test_wrong_inputs_are_refused_before_there_is_a_job(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        await run(summarize_document, wrong)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """One API and one worker on real servers."""
    with open_folder() as folder, running_stack(folder) as made:
        made.start_worker()
        made.start_api()
        yield made


def test_a_pdf_is_summarized(stack: Stack) -> None:
    """The provider's own log is the referee: every word of the document was in one call, in pieces that fit."""
    stack.provider.clear_calls()
    pages = [LONG[n : n + 3_000].strip() for n in range(0, len(LONG), 3_000)]
    content = base64(pdf([*pages, ""]))
    job = stack.submit("summarize-document", {"filename": "minutes.docx", "content_base64": content, **SMALL}, wait=30)
    output = stack.ended(job["id"])["output"]
    assert (output["kind"], output["pages"], output["pages_without_text"]) == ("pdf", len(pages) + 1, 1)
    assert output["summary"] and output["calls"] == len(stack.provider.calls()) == job["usage"]["calls"]
    asked = sorted(stack.provider.calls(), key=lambda call: call["n"])[: output["chunks"]]
    told = " ".join(" ".join(call["item"] for call in asked).split())
    assert sorted(told.split()) == sorted(" ".join(pages).split())
    assert output["words"] == len(" ".join(pages).split())


def test_word_and_text_are_summarized(stack: Stack) -> None:
    for content, kind in ((docx(["Erster Absatz.", "Zweiter."], [["a", "b"]]), "docx"), ("Größe.".encode(), "text")):
        job = stack.submit("summarize-document", {"content_base64": base64(content)}, wait=30)
        assert (job["status"], job["output"]["kind"], job["output"]["calls"]) == ("succeeded", kind, 1)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (pdf(["Words."])[:300], "cut off"),
        (encrypted_pdf(pdf(["Words."]), "secret"), "encrypted"),
        (docx(["Words."])[:-200], "broken"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "PNG"),
        (pdf([""]), "scan"),
        (b"", "empty"),
    ],
)
def test_what_cannot_be_read_is_quarantined_with_its_reason_and_no_call(
    stack: Stack, content: bytes, reason: str
) -> None:
    stack.provider.clear_calls()
    job = stack.submit("summarize-document", {"filename": "a.pdf", "content_base64": base64(content)}, wait=30)
    assert (job["status"], job["disposition"], job["attempt"]) == ("failed", "quarantine", 1)
    assert (job["error"]["code"], job["error"]["class"]) == ("input_invalid", "input")
    assert reason in job["error"]["detail"] and stack.provider.calls() == []


def test_base64_that_is_none_is_422(stack: Stack) -> None:
    answer = stack.post("summarize-document", {"content_base64": "???"})
    assert (answer.status_code, answer.json()["code"]) == (422, "input_invalid")
    assert "is not base64" in answer.json()["errors"][0]["detail"] and "???" not in answer.text
