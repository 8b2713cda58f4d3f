"""What is asked of the model: three reviews that the word list leaves open, and a Word document in two pieces."""

from __future__ import annotations

import asyncio
import io
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass

from docx import Document

from app.cli.demo.api import Api, Json, Unexpected
from app.cli.demo.figures import seconds

REVIEWS = (
    "It arrived on a Tuesday, in a box.",
    "The battery holds for two days, then you charge it over night.",
    "I sent it back after a week and bought the other one.",
)
PARAGRAPHS = (
    "The harbour of the small town was built in 1820, when a merchant who had made his money with salt paid for a wall "
    "of granite. For a hundred years it was full of fishing boats. Every morning the catch was sold on the quay, and "
    "what nobody bought was smoked in the low brick houses behind it.",
    "In 1924 the railway reached the town. From then on the fish went to the capital in ice, the smoking houses closed "
    "one after the other, and the young people followed the trains. By 1960 only eleven boats were left, and the "
    "town council thought of filling the harbour with earth to make room for cars.",
    "A school teacher stopped that. She collected the old tools, wrote down what the last fishermen told her, and "
    "opened a museum in the ice house. Visitors came, first from the neighbourhood, then from abroad. Today rowing "
    "boats may be rented in summer, and two of the brick houses smoke fish again.",
    "In winter the council still meets in the ice house, because its stoves are the best of the town. Its last "
    "decision was to mend the granite wall, which had stood for two hundred years without a crack until a storm in "
    "January moved four of its stones.",
)
# So small a context that the document takes two pieces: the way of a long document through a large model.
_SMALL_CONTEXT_TOKENS = 640
_WORDS = 30
_POLL_S = 0.3
_ENDED = ("succeeded", "failed", "canceled", "expired")


@dataclass(frozen=True, slots=True)
class Ended:
    """A job at its end, and its timeline."""

    job: Json
    trace: Json


@dataclass(frozen=True, slots=True)
class Speed:
    """What the model's calls came to; `busy_s` adds their times up, waits in its queue included."""

    calls: int
    input_tokens: int
    output_tokens: int
    busy_s: float


def document() -> Json:
    """A Word file as the workflow's input."""
    made, out = Document(), io.BytesIO()
    for text in PARAGRAPHS:
        made.add_paragraph(text)
    made.save(out)
    content = b64encode(out.getvalue()).decode()
    sizes = {"max_words": _WORDS, "context_tokens": _SMALL_CONTEXT_TOKENS}
    return {"filename": "harbour.docx", "content_base64": content, **sizes}


async def reviews(api: Api) -> list[Ended]:
    """Each review's job, one after the other. Raises Unexpected unless all succeed."""
    return [await _run(api, "review-sentiment", {"text": text}) for text in REVIEWS]


async def summary(api: Api) -> Ended:
    """The document's job. Raises Unexpected unless it succeeds."""
    return await _run(api, "summarize-document", document())


def speed(ended: list[Ended]) -> Speed:
    """Of all calls of these jobs, by their timelines."""
    calls = [span for one in ended for span in _calls(one)]
    return Speed(
        calls=len(calls),
        input_tokens=sum(call["attributes"]["input_tokens"] for call in calls),
        output_tokens=sum(call["attributes"]["output_tokens"] for call in calls),
        busy_s=sum(seconds(call["ended_at"]) - seconds(call["started_at"]) for call in calls),
    )


async def _run(api: Api, workflow: str, given: Json) -> Ended:
    job: Json = (await api.submit(workflow, {"input": given})).json()
    while job["status"] not in _ENDED:
        await asyncio.sleep(_POLL_S)
        job = (await api.read(job["id"])).json()
    if job["status"] != "succeeded":
        raise Unexpected(f"{workflow}: the job {job['id']} is {job['status']}: {job['error'] or job['reason']}")
    return Ended(job, await api.trace(job["id"]))


def _calls(ended: Ended) -> Iterator[Json]:
    return (span for span in ended.trace["spans"] if span["kind"] == "call")
