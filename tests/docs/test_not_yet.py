"""What the pages call not built, or without effect, is what the code refuses or warns of, and nothing else."""

from __future__ import annotations

import re

import pytest

from app.engine import catalogue
from app.engine.context import Context
from app.engine.policies import UNBUILT
from app.engine.unbuilt import FEATURES
from tests.docs.pages import ROOT

_GUIDE = (ROOT / "docs" / "04-writing-workflows.md").read_text(encoding="utf-8")
_README = (ROOT / "README.md").read_text(encoding="utf-8")


def _named(text: str, pattern: str) -> set[str]:
    """The words in backquotes of the one sentence that the pattern finds."""
    (found,) = re.findall(pattern, text, re.DOTALL)
    return set(re.findall(r"`(?:ctx\.)?(\w+)`", found))


def test_context_features() -> None:
    assert _named(_GUIDE, r"\n(`ctx\.\w+`[^\n]*? (?:is|are) not built yet)") == FEATURES


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        (_GUIDE, r"up to five minutes\. (`.*?) (?:is|are) checked and, so far,"),
        (_README, r"of a `Cache`;\s+(`.*?) in a step's policy"),
    ],
    ids=["guide", "README"],
)
def test_policy_fields(text: str, pattern: str) -> None:
    assert _named(text, pattern) == set(UNBUILT)


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        (_GUIDE, r"not measured yet\. (`.*?) (?:has|have) no effect yet"),
        (_README, r"step's policy; (`.*?) of a\s+workflow\."),
    ],
    ids=["guide", "README"],
)
def test_workflow_fields(text: str, pattern: str) -> None:
    assert _named(text, pattern) == set(catalogue._WITHOUT_EFFECT)


def test_everything_a_context_has_is_told() -> None:
    for name in dir(Context):
        assert name.startswith("_") or re.search(rf"`[\w ]*ctx\.{name}\b", _GUIDE), name
