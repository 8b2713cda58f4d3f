"""The moderation workflow: three checks at once, then a verdict."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from app.domain import canonical
from app.domain.call import Call
from app.domain.clock import SYSTEM_CLOCK
from app.engine.perform import Succeeded, perform
from app.engine.replies import ScriptedGateway
from app.gateway.calls.request import ModelAnswer, ModelRequest
from app.workflows.item import item
from app.workflows.moderate_post import CLEAN, Finding, Post, judge_images, judge_links, moderate_post
from laneway.testing import MemoryJournal, run
from tests.engine.support import make_run

POST = Post(
    text="what a view", image_urls=["https://img.example.com/sea.jpg"], links=["https://news.example.com/today"]
)
FINE = {"flagged": False, "severity": "none", "reason": ""}
MILD = {"flagged": True, "severity": "mild", "reason": "rude word"}
SEVERE = {"flagged": True, "severity": "severe", "reason": "threat"}
CHECK_S = 0.25


class SlowGateway(ScriptedGateway):
    """The script's answers, each after the time that one check takes."""

    async def complete(self, request: ModelRequest, record: Callable[[Call], None]) -> ModelAnswer:
        await asyncio.sleep(CHECK_S)
        return await super().complete(request, record)


@pytest.mark.parametrize(
    ("profanity", "images", "links", "decision"),
    [
        (FINE, FINE, FINE, "allow"),
        (MILD, FINE, FINE, "review"),
        (FINE, FINE, SEVERE, "block"),
        (MILD, SEVERE, FINE, "block"),
    ],
)
async def test_the_worst_finding_decides(profanity: Any, images: Any, links: Any, decision: str) -> None:
    replies = {"profanity": profanity, "images": images, "links": links}
    found = await run(moderate_post, POST, replies=replies)
    assert found.decision == decision
    flagged = [finding for finding in (profanity, images, links) if finding["flagged"]]
    assert found.reasons == [finding["reason"] for finding in flagged]
    assert found.profanity == Finding(**profanity)


class ListeningGateway(ScriptedGateway):
    """The script's answers; keeps which alias each question went to."""

    def __init__(self, replies: Any) -> None:
        super().__init__(replies, SYSTEM_CLOCK)
        self.aliases: list[str] = []

    async def complete(
        self,
        request: ModelRequest,
        record: Callable[[Call], None],
        on_text: Callable[[str], None] | None = None,
    ) -> ModelAnswer:
        self.aliases.append(request.alias)
        return await super().complete(request, record, on_text)


async def test_simple_posts_go_to_the_small_model_and_long_ones_to_the_large() -> None:
    for text, alias in (("what a view", "small"), ("what a view of the sea. " * 100, "large")):
        gateway = ListeningGateway({"profanity": FINE})
        outcome = await perform(moderate_post, make_run(Post(text=text).model_dump(), gateway=gateway))
        assert isinstance(outcome, Succeeded)
        assert gateway.aliases == [alias]


async def test_three_checks_take_about_the_time_of_one() -> None:
    replies = {"profanity": FINE, "images": FINE, "links": FINE}
    journal = MemoryJournal()
    given = make_run(POST.model_dump(), journal=journal, clock=SYSTEM_CLOCK, gateway=SlowGateway(replies, SYSTEM_CLOCK))
    begun = time.monotonic()
    outcome = await perform(moderate_post, given)
    took = time.monotonic() - begun
    assert isinstance(outcome, Succeeded)
    assert canonical.load(outcome.output)["decision"] == "allow"
    assert outcome.usage.calls == 3
    assert CHECK_S <= took < 1.8 * CHECK_S
    asked = [record for record in journal.records if record.kind == "ask"]
    assert max(record.started_at for record in asked) < min(record.ended_at for record in asked)


async def test_a_post_of_text_alone_is_one_call() -> None:
    journal = MemoryJournal()
    found = await run(moderate_post, Post(text="hello"), replies={"profanity": FINE}, journal=journal)
    assert (found.decision, found.images, found.links) == ("allow", CLEAN, CLEAN)
    assert len(journal.calls) == 1


async def test_our_own_rules_need_no_model() -> None:
    post = Post(text="", image_urls=["javascript:alert(1)"], links=["https://bit.ly/x"])
    found = await run(moderate_post, post)
    assert found.decision == "block"
    assert found.reasons == ["image address is no web address", "link goes through a shortener"]


@pytest.mark.parametrize(
    ("address", "severity"),
    [
        ("https://example.com/a", "none"),
        ("https://bit.ly/abc", "mild"),
        ("ftp://example.com/a", "severe"),
        ("https://bank.example@evil.test/", "severe"),
        ("http://127.0.0.1/", "severe"),
        ("http://2130706433/", "severe"),
        ("http://[::1]/", "severe"),
        ("https://xn--pple-43d.com/", "severe"),
        ("https://аpple.com/", "severe"),
        ("http://[broken", "severe"),
        ("https://", "severe"),
    ],
)
def test_link_rules(address: str, severity: str) -> None:
    assert judge_links([address]).severity == severity


def test_image_rules() -> None:
    assert judge_images(["https://example.com/a.PNG?size=2"]) == CLEAN
    assert judge_images(["https://example.com/page"]).severity == "mild"


def test_a_text_cannot_leave_its_tags() -> None:
    assert item("a</item>b< / ITEM >c<item>") == "<item>a‹/item>b‹ / ITEM >c‹item></item>"
    assert item("a < b <items>") == "<item>a < b <items></item>"
