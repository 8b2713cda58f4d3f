"""The form of an answer for Anthropic: judged by the official SDK's own rules and by the simulated provider's."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from anthropic import transform_schema
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, create_model

from app.clients.anthropic_form import Unfit, fit, form_of
from app.engine.schema import answer_form
from app.loadtest.provider.anthropic_schema import as_read, check


class Money(BaseModel):
    """An amount."""

    model_config = ConfigDict(extra="forbid")
    cents: Annotated[int, Field(ge=0, le=10**6, description="In cents.")]
    currency: Literal["EUR", "USD"]


class Tree(BaseModel):
    label: str
    children: list[Tree]


_SCALARS: st.SearchStrategy[Any] = st.sampled_from(
    [
        str,
        int,
        bool,
        float,
        Money,
        Literal["a", "b"],
        Literal[1, None],
        Annotated[int, Field(ge=3, le=9)],
        Annotated[str, Field(pattern=r"^\d{3}, \{x\}$")],
        Annotated[float, Field(gt=0.5, multiple_of=0.25)],
    ]
)
_TYPES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.builds(lambda t: t | None, inner.filter(lambda t: t is not None)),
        st.builds(lambda t: Annotated[list[t], Field(min_length=2, max_length=4)], inner),  # type: ignore[valid-type]
        st.builds(lambda t: list[t], inner),  # type: ignore[valid-type]
    ),
    max_leaves=3,
)


def _bare(node: Any) -> Any:
    """Without the parts in which the SDK and this client choose other words for the same."""
    if isinstance(node, list):
        return [_bare(member) for member in node]
    if not isinstance(node, dict):
        return node
    literal = "enum" in node or "const" in node
    left_out = {"title", "description", *(["type"] if literal else [])}
    return {name: _bare(value) for name, value in node.items() if name not in left_out or isinstance(value, dict)}


@settings(max_examples=60, deadline=None)
@given(st.lists(_TYPES, min_size=1, max_size=4))
def test_it_says_what_the_sdk_says(kinds: list[Any]) -> None:
    fields: dict[str, Any] = {f"f{n}": (kind, ...) for n, kind in enumerate(kinds)}
    schema = answer_form(create_model("Answer", **fields)).schema
    assert schema is not None
    fitted = fit(schema)
    check(fitted)
    theirs = transform_schema(schema)
    check(theirs)
    assert _bare(fitted) == _bare(theirs)


def test_constraints_become_words_that_can_be_read() -> None:
    schema = answer_form(Money).schema
    assert schema is not None
    assert fit(schema)["properties"]["cents"] == {
        "type": "integer",
        "description": 'In cents.\n\n{"maximum":1000000,"minimum":0}',
    }
    read = as_read(fit(schema))["properties"]["cents"]
    assert (read["minimum"], read["maximum"]) == (0, 10**6)
    theirs = as_read(transform_schema(schema))["properties"]["cents"]
    assert (theirs["minimum"], theirs["maximum"]) == (0, 10**6)


class Words(BaseModel):
    counts: dict[str, int]


class Anything(BaseModel):
    value: Any


class Pair(BaseModel):
    pair: tuple[int, str]


@pytest.mark.parametrize("output", [Words, Anything, Pair, Tree])
def test_what_it_cannot_say_becomes_a_tool(output: type[BaseModel]) -> None:
    schema = answer_form(output).schema
    assert schema is not None
    with pytest.raises(Unfit):
        fit(schema)
    form = form_of(schema, output.__name__)
    (tool,) = form["tools"]
    assert (tool["name"], tool["input_schema"]["type"]) == (output.__name__, "object")
    assert tool["input_schema"]["properties"].keys() == output.model_fields.keys()
    assert form["tool_choice"]["name"] == tool["name"]


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object"},
        {"type": "object", "properties": {"a": True}},
        {"type": "object", "properties": {"a": {}}, "additionalProperties": True},
        {"type": ["string", "null"]},
        {"type": "wish"},
        {"type": "array"},
        {"enum": [[1]]},
        {"const": {"a": 1}},
        {"allOf": [{"type": "string"}]},
    ],
)
def test_what_does_not_fit(schema: dict[str, Any]) -> None:
    with pytest.raises(Unfit):
        fit(schema)
