"""Which workflow names an alias: as a constant, in a policy, through another module; and what cannot be seen."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest

from app.engine.catalogue import Catalogue
from app.engine.mention import who_names

_MODELS = 'FAST = "fast"\nUNUSED = "unused"\n'
_SHOP = """
from laneway import Context, workflow
from mention_models import FAST

LARGE = "large"

@workflow("shop", "1")
async def shop(ctx: Context, input: str) -> str:
    await ctx.ask("a", model="small", prompt=input)
    await ctx.ask("b", model=LARGE, prompt=input)
    return await ctx.ask("c", model=FAST, prompt=f"dynamic-{input}")
"""


@pytest.fixture
def catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Catalogue:
    (tmp_path / "mention_models.py").write_text(_MODELS)
    (tmp_path / "mention_shop.py").write_text(textwrap.dedent(_SHOP))
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("mention_models", "mention_shop"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return Catalogue.load(["mention_shop"])


def test_constants_of_the_module_and_imported_ones_name_an_alias(catalogue: Catalogue) -> None:
    assert [who_names(catalogue, alias) for alias in ("small", "large", "fast")] == ["shop"] * 3
    assert [who_names(catalogue, alias) for alias in ("unused", "smal", "dynamic", "other")] == [None] * 4


def test_the_reference_workflows_name_small() -> None:
    assert who_names(Catalogue.load(["app.workflows"]), "small") is not None
    assert who_names(Catalogue.load(["app.workflows"]), "nobody-has-this") is None
