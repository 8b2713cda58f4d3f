"""Submitted inputs: the author's type decides, and fields that no model knows are refused."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import AliasChoices, AliasPath, BaseModel, ConfigDict, Field, RootModel, ValidationError

from app.engine.workflow import Workflow
from laneway import Context, workflow


class Part(BaseModel):
    """Says nothing about extra fields."""

    kind: Literal["part"] = "part"
    size: int


class Open(BaseModel):
    """Keeps extra fields."""

    model_config = ConfigDict(extra="allow")
    kind: Literal["open"] = "open"
    part: Part | None = None


class Careless(BaseModel):
    """Drops extra fields, and says so."""

    model_config = ConfigDict(extra="ignore")
    kind: Literal["careless"]


class Parts(RootModel[list[Part]]):
    """A list under a name of its own."""


class Order(BaseModel):
    """All the ways to nest."""

    parts: list[Part] = []
    named: dict[str, Part] = {}
    any_of: Annotated[Part | Open | Careless, Field(discriminator="kind")] | None = None
    rooted: Parts | None = None
    amount: Annotated[float | None, Field(validation_alias=AliasChoices("sum", AliasPath("money", "value")))] = None


@workflow("order", version="1")
async def order(ctx: Context, given: Order) -> None: ...


@workflow("strict-order", version="1")
async def strict_order(ctx: Context, given: dict[str, list[int]]) -> None: ...


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"parts": [{"size": 1}], "named": {"a": {"size": 2}}},
        {"any_of": {"kind": "open", "anything": 1}},
        {"any_of": {"kind": "careless", "anything": 1}},
        {"rooted": [{"size": 1}]},
        {"sum": 1.5},
        {"money": {"value": 2}},
        {"amount": 3},
    ],
)
def test_known_fields_pass(value: dict[str, Any]) -> None:
    assert isinstance(order.validate_input(value), Order)


def test_what_a_model_allows_is_kept() -> None:
    found = order.validate_input({"any_of": {"kind": "open", "anything": [1]}})
    assert found.any_of is not None
    assert found.any_of.model_dump()["anything"] == [1]


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({"prats": []}, [("prats",)]),
        ({"parts": [{"size": 1}, {"size": 2, "colour": "red"}]}, [("parts", 1, "colour")]),
        ({"named": {"a": {"size": 2, "x": 1}}, "y": 1}, [("named", "a", "x"), ("y",)]),
        ({"any_of": {"kind": "open", "part": {"size": 1, "deep": 1}}}, [("any_of", "part", "deep")]),
        ({"rooted": [{"size": 1, "z": 0}]}, [("rooted", 0, "z")]),
    ],
)
def test_unknown_fields_are_refused_with_their_place(value: dict[str, Any], where: list[tuple[int | str, ...]]) -> None:
    with pytest.raises(ValidationError) as caught:
        order.validate_input(value)
    errors = caught.value.errors()
    assert sorted(error["loc"] for error in errors) == sorted(where)
    assert {error["type"] for error in errors} == {"extra_forbidden"}


@pytest.mark.parametrize(
    ("flow", "value", "kind"),
    [
        (order, {"parts": [{"size": "x"}]}, "int_parsing"),
        (order, [], "model_type"),
        (order, None, "model_type"),
        (strict_order, {"a": [1, "b"]}, "int_parsing"),
    ],
)
def test_wrong_values_are_refused(flow: Workflow[Any, Any], value: Any, kind: str) -> None:
    with pytest.raises(ValidationError) as caught:
        flow.validate_input(value)
    assert kind in {error["type"] for error in caught.value.errors()}


def test_odd_texts_and_numbers_pass_as_they_are() -> None:
    assert strict_order.validate_input({"\ud800\x00": [2**70]}) == {"\ud800\x00": [2**70]}
