"""Routing: by how hard a text is, by what a content is; and a record that holds whatever would be picked today."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.call import Call
from app.engine.perform import Failed, Succeeded, perform
from app.engine.replies import ScriptedGateway
from app.engine.routing import reading_index
from app.engine.virtual import VirtualClock
from app.gateway.calls.request import ModelAnswer, ModelRequest
from laneway import Context, ProcessingError, by_complexity, by_type, content_type, workflow
from laneway.testing import MemoryJournal
from tests.engine.support import START, make_run

EASY = "The sun is up. We go to the sea. The dog runs on the sand. We eat and rest. " * 5
HARD = (
    "Notwithstanding contractual stipulations concerning intermediary liability, administrative authorities "
    "systematically reinterpret extraterritorial jurisdiction whenever multinational corporations restructure "
    "subsidiaries, thereby circumventing established regulatory requirements altogether. "
) * 3


class ListeningGateway(ScriptedGateway):
    """The script's gateway, which keeps what it was asked."""

    def __init__(self, replies: Any) -> None:
        super().__init__(replies, VirtualClock(START))
        self.aliases: list[str] = []

    async def complete(
        self,
        request: ModelRequest,
        record: Callable[[Call], None],
        on_text: Callable[[str], None] | None = None,
    ) -> ModelAnswer:
        self.aliases.append(request.alias)
        return await super().complete(request, record, on_text)


_moods = {"route": "small"}


@workflow("routed", version="1")
async def routed(ctx: Context, question: str) -> str:
    """Asks whom its function picks, then fails in a step until the mood is good."""
    answer = await ctx.ask("q", model=by_mood, messages=[("system", "Be brief."), ("user", question)])
    await ctx.step("settle", settle)
    return answer


@workflow("routed-stream", version="1")
async def routed_stream(ctx: Context, question: str) -> str:
    """The same, heard while it comes."""
    return "".join([piece async for piece in ctx.stream("q", model=by_mood, prompt=question)])


def by_mood(text: str) -> str:
    """By what a test sets; the text is the user's alone."""
    assert "Be brief" not in text
    if _moods["route"] == "broken":
        raise ValueError(text)
    return _moods["route"]


def settle() -> None:
    if _moods.get("settle") == "bad":
        raise ProcessingError("not yet")


@pytest.fixture(autouse=True)
def _fresh() -> None:
    _moods.clear()
    _moods["route"] = "small"


async def test_a_function_picks_the_alias() -> None:
    for flow in (routed, routed_stream):
        gateway = ListeningGateway({"q": "yes"})
        outcome = await perform(flow, make_run("why?", gateway=gateway))
        assert isinstance(outcome, Succeeded)
        assert gateway.aliases == ["small"]


async def test_a_record_holds_whatever_would_be_picked_today() -> None:
    journal, gateway = MemoryJournal(), ListeningGateway({"q": ["yes", "no"]})
    _moods["settle"] = "bad"
    assert isinstance(await perform(routed, make_run("why?", gateway=gateway, journal=journal)), Failed)
    _moods.update(route="large", settle="good")
    kept = MemoryJournal(journal.job_id, [record for record in journal.records if record.name == "q"])
    outcome = await perform(routed, make_run("why?", gateway=gateway, journal=kept, resumed=True))
    assert isinstance(outcome, Succeeded)
    assert (outcome.output, gateway.aliases) == (b'"yes"', ["small"])


@pytest.mark.parametrize(("picked", "says"), [("broken", "raised ValueError"), (None, "is routed to None")])
async def test_a_function_that_fails_is_a_bug_of_the_workflow(picked: Any, says: str) -> None:
    _moods["route"] = picked
    outcome = await perform(routed, make_run("a private text", gateway=ListeningGateway({"q": "yes"})))
    assert isinstance(outcome, Failed)
    assert outcome.failure.code == "workflow_error"
    assert says in outcome.failure.detail and "private" not in outcome.failure.detail


def test_by_complexity() -> None:
    route = by_complexity("small", "large")
    assert (route("Nice."), route(EASY), route(HARD)) == ("small", "small", "large")
    assert route("x" * 2001) == "large"
    assert by_complexity("small", "large", characters=10)("eleven char") == "large"
    assert by_complexity("small", "large", lix=200.0)(HARD) == "small"


def test_the_index_of_texts_that_were_counted_by_hand() -> None:
    """Ten sentences of five words, one of them long; one of sixty, two in ten of them long."""
    assert reading_index("One two three four hundreds. " * 10) == 25
    assert reading_index("ten words without an end to them all, wonderful thing " * 6) == 60 + 20
    assert reading_index("short") == 0


@given(st.text(max_size=400), st.sampled_from(["small", "large"]))
def test_any_text_has_a_route_and_always_the_same(text: str, alias: str) -> None:
    route = by_complexity("small", "large")
    assert route(text) == route(text) in ("small", "large")
    assert by_type({}, otherwise=alias)(text) == alias
    assert "/" in content_type(text)


@given(st.binary(max_size=400))
def test_any_bytes_have_a_type(content: bytes) -> None:
    assert content_type(content) == content_type(content)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"%PDF-1.7\n", "application/pdf"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"PK\x03\x04xx", "application/zip"),
        (b"\xff\xfe\x00", "application/octet-stream"),
        ("\ufeff{}".encode(), "application/json"),
        (' {"a": [1, 2]}', "application/json"),
        ("{not json}", "text/plain"),
        ("[" * 100_000, "text/plain"),
        ("<!DOCTYPE html><p>Hi", "text/html"),
        ("<div class='x'>Hi</div>", "text/html"),
        ('<?xml version="1.0"?><a/>', "application/xml"),
        ("<invoice id='1'><n>2</n></invoice>", "application/xml"),
        ("a,b,c\n1,2,3\n", "text/csv"),
        ('name;text\nAda;"one; two"\nBo;x\nCy;y\n', "text/csv"),
        ("Dear Ada,\nthanks, bye", "text/plain"),
        ("Just words.", "text/plain"),
        ("", "text/plain"),
    ],
)
def test_types_by_content(content: str | bytes, found: str) -> None:
    assert content_type(content) == found


def test_by_type() -> None:
    route = by_type({"image/*": "eyes", "application/json": "small", "image/gif": "none"}, otherwise="large")
    picked = [route(content) for content in (b"\xff\xd8\xff", b"GIF89a", "[1]", "words")]
    assert picked == ["eyes", "none", "small", "large"]
