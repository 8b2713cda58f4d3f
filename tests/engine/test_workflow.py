"""Declarations: what a workflow says of itself, and every wrong one refused with its place and what to do."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field

from app.engine.catalogue import Catalogue
from app.engine.declaration import WorkflowDefinitionError
from laneway import Cache, Context, Policy, Window, workflow
from tests.engine.broken import HEAD, modules
from tests.engine.test_catalogue import refused


class Thing(BaseModel):
    """An input with an alias."""

    size: int = Field(alias="sizeCm")


@workflow(
    "full",
    version="2.1",
    lane="bulk",
    sla="5m",
    timeout="90s",
    dedupe="1h",
    cache=Cache(ttl="24h", tags=("things",)),
    max_cost_usd="0.25",
    retain_for="7d",
    deprecated="2030-01-31",
    sunset=date(2030, 6, 30),
    default=True,
    reduces="parts",
)
async def full(ctx: Context, thing: Thing) -> list[int]:
    """Counts.

    In detail.
    """
    return [thing.size]


def test_a_declaration_keeps_everything() -> None:
    assert (full.name, full.version, full.lane, full.default, full.reduces) == ("full", "2.1", "bulk", True, "parts")
    assert (full.sla_s, full.timeout_s, full.retain_s, full.dedupe) == (300, 90, 7 * 86400, "1h")
    assert full.max_cost_nanos == 250_000_000
    assert full.cache == Cache(ttl="24h", tags=("things",))
    assert full.deprecated == datetime(2030, 1, 31, tzinfo=UTC)
    assert full.sunset == datetime(2030, 6, 30, tzinfo=UTC)
    assert full.description == "Counts.\n\nIn detail."
    assert full.input_model is Thing
    assert list(full.input_schema["properties"]) == ["sizeCm"]
    assert full.output_schema == {"items": {"type": "integer"}, "type": "array"}
    assert "test_workflow.py" in full.place


def test_defaults() -> None:
    @workflow("plain", version="1")
    async def plain(ctx: Context, _: str) -> None: ...

    assert (plain.lane, plain.timeout_s, plain.retain_s) == ("standard", 600, 30 * 86400)
    assert {plain.sla_s, plain.max_cost_nanos, plain.dedupe, plain.cache, plain.deprecated, plain.sunset} == {None}
    assert (plain.description, plain.default) == ("", False)


GOOD = "async def f(ctx: Context, payload: In) -> In:\n    return payload\n"
WRONG_FUNCTIONS = {
    "def f(ctx: Context, payload: In) -> In:\n    return payload\n": "is not async: write `async def`",
    "async def f(ctx: Context, payload: In) -> In:\n    yield payload\n": "is not async",
    "async def f(payload: In) -> In:\n    return payload\n": "must take two parameters",
    "async def f(ctx: Context, a: In, b: In) -> In:\n    return a\n": "must take two parameters",
    "async def f(ctx: Context, *, payload: In) -> In:\n    return payload\n": "must take two parameters",
    "async def f(ctx, payload: In) -> In:\n    return payload\n": "annotate `ctx: Context`",
    "async def f(payload: In, ctx: Context) -> In:\n    return payload\n": "annotate `payload: Context`",
    "async def f(ctx: Context, payload) -> In:\n    return payload\n": "no annotation for 'payload'",
    "async def f(ctx: Context, payload: In):\n    return payload\n": "no annotation for 'return'",
    "async def f(ctx: Context, payload: 'Missing') -> In:\n    return payload\n": "can't be resolved",
    "import threading\nasync def f(ctx: Context, payload: threading.Lock) -> In: ...\n": "pydantic can't validate",
    "from typing import Any\nasync def f(ctx: Context, payload: Any) -> In: ...\n": "leaves its input open",
    "from typing import Callable\nasync def f(ctx: Context, payload: Callable[[], int]) -> In: ...\n": "JSON Schema",
}


@pytest.mark.parametrize(("function", "text"), WRONG_FUNCTIONS.items())
def test_wrong_functions_are_refused(tmp_path: Path, function: str, text: str) -> None:
    imports, _, body = function.rpartition("\nasync def") if function.startswith(("import", "from")) else ("", "", "")
    decorated = f'{imports}\n@workflow("f", version="1")\n' + (f"async def{body}" if imports else function)
    reason = refused(tmp_path, HEAD + decorated)
    assert text in reason
    assert "shop.f (" in reason


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('"F", version="1"', "lower-case"),
        ('"a b", version="1"', "lower-case"),
        ('"f", version=1', 'version="1"'),
        ('"f", version=""', 'version="1"'),
        ('"f", version="1", lane="fast"', "choose one of interactive, standard, bulk"),
        ('"f", version="1", lane="delivery"', "choose one of"),
        ('"f", version="1", sla="soon"', "wrong sla: 'soon' is not a duration"),
        ('"f", version="1", timeout="0s"', "must be more than nothing"),
        ('"f", version="1", retain_for=None', "wrong retain_for"),
        ('"f", version="1", dedupe="x"', "wrong dedupe"),
        ('"f", version="1", max_cost_usd="free"', "wrong max_cost_usd"),
        ('"f", version="1", max_cost_usd=0', "more than nothing"),
        ('"f", version="1", sunset="someday"', "write a date"),
    ],
)
def test_wrong_declarations_are_refused(tmp_path: Path, arguments: str, text: str) -> None:
    reason = refused(tmp_path, f"{HEAD}\n@workflow({arguments})\n{GOOD}")
    assert text in reason
    assert "shop.f (" in reason


@pytest.mark.parametrize("feature", ["review"])
def test_features_that_are_not_built_stop_start_up(tmp_path: Path, feature: str) -> None:
    body = f"    if payload.x:\n        await ctx.{feature}('name')\n    return payload\n"
    source = f'{HEAD}\n@workflow("f", version="1")\nasync def f(ctx: Context, payload: In) -> In:\n{body}'
    reason = refused(tmp_path, source)
    assert f"not built yet: ctx.{feature} in {tmp_path / 'shop.py'}:12" in reason


def test_they_are_found_in_functions_that_get_the_context_too(tmp_path: Path) -> None:
    checks = """from laneway import Context


class Checks:
    async def one(self, c: Context):
        await deep(n=1, own=c)


async def deep(n, own):
    await deep(n, own)
    return await own.review("e")
"""
    source = f"""import checks
{HEAD}
CHECKS = checks.Checks()


@workflow("f", version="1")
async def f(ctx: Context, payload: In) -> In:
    await later(ctx)
    return payload


async def later(context):
    await CHECKS.one(context)
"""
    with modules(tmp_path, checks=checks):
        assert f"own.review in {tmp_path / 'checks.py'}:11" in refused(tmp_path, source)


def test_other_objects_may_have_such_names(tmp_path: Path) -> None:
    body = "    payload.review = 1 if hasattr(ctx, 'x') else 2\n    return payload\n"
    source = f'{HEAD}\n@workflow("f", version="1")\nasync def f(ctx: Context, payload: In) -> In:\n{body}'
    with modules(tmp_path, shop=source):
        assert Catalogue.load(["shop"]).names() == ["f"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Policy(tries=0),
        lambda: Policy(tries=1.5),  # type: ignore[arg-type]
        lambda: Policy(timeout="never"),
        lambda: Policy(backoff=0),
        lambda: Cache(ttl="x"),
        lambda: Cache(ttl="1h", tags="reviews"),  # type: ignore[arg-type]
        lambda: Cache(ttl="1h", tags=(1,)),  # type: ignore[arg-type]
        lambda: Cache(ttl="1h", near=2),
        lambda: Cache(ttl="1h", near="x"),  # type: ignore[arg-type]
        lambda: Policy(cache="24h"),  # type: ignore[arg-type]
        lambda: Policy(batch=10),  # type: ignore[arg-type]
        lambda: Policy(critical="no"),  # type: ignore[arg-type]
        lambda: Window(size="5", wait="1s"),  # type: ignore[arg-type]
        lambda: Window(size=5, wait="1s", on_failure="stop"),  # type: ignore[arg-type]
        lambda: Window(size=5, wait="1s", group=1),  # type: ignore[arg-type]
        lambda: Window(size=5, wait="1s", packed=1),  # type: ignore[arg-type]
        lambda: Window(size=0, wait="1s"),
        lambda: Window(size=5, wait="0s"),
    ],
)
def test_wrong_policies_are_refused(make: Any) -> None:
    with pytest.raises(ValueError, match=r"^(Policy|Cache|Window)\."):
        make()


def test_a_policy_knows_what_has_no_effect_yet() -> None:
    assert Policy(tries=2, timeout="3s").without_effect == ()
    policy = Policy(
        cache=Cache(ttl="1h"), batch=Window(size=2, wait="1s"), fallback="large", breaker="b", critical=False
    )
    assert policy.without_effect == ("batch",)
    assert Window(size=1, wait="2s", packed=True).packed
    assert Policy(cache=Cache(ttl="1h", near=0.9)).without_effect == ("cache.near",)
    assert (Policy(timeout=2.5).timeout_s, Policy(backoff="2m").backoff_s) == (2.5, 120)


def test_a_workflow_without_source_is_taken_unread() -> None:
    space: dict[str, Any] = {"Context": Context, "workflow": workflow}
    exec("@workflow('typed', version='1')\nasync def typed(ctx: Context, x: int) -> int: ...", space)
    assert space["typed"].name == "typed"


def test_the_error_type_is_one() -> None:
    with pytest.raises(WorkflowDefinitionError):
        workflow("x", version="1")(lambda: None)  # type: ignore[arg-type,misc]
