"""Values made for JSON Schemas: pydantic writes the schema of a random model and judges the value."""

import datetime as dt
import re
import uuid
from enum import Enum
from typing import Annotated, Any, Literal

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, create_model

from app.loadtest.provider.draw import Draw
from app.loadtest.provider.schema import UnsupportedSchema
from app.loadtest.provider.value import make_value


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Tree(BaseModel):
    label: Literal["a", "b"]
    left: "Tree | None"
    right: "Tree | None"
    children: list["Tree"]


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: Annotated[int, Field(ge=1, le=9)]


class Dog(BaseModel):
    kind: Literal["dog"]
    tricks: Annotated[list[Annotated[str, Field(min_length=1, max_length=20)]], Field(min_length=2)]


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    when: dt.datetime
    tree: Tree


_integers = st.integers(-(10**9), 10**9)
_floats = st.floats(-1e9, 1e9, allow_nan=False)


def _bounded_int(low: int, size: int, step: int | None) -> Any:
    return Annotated[int, Field(ge=low, le=low + size + (step or 0), multiple_of=step)]


def _bounded_float(low: float, size: float, strict: bool) -> Any:
    return Annotated[float, Field(gt=low, lt=low + size) if strict else Field(ge=low, le=low + size)]


def _bounded_text(low: int, size: int) -> Any:
    return Annotated[str, Field(min_length=low, max_length=low + size)]


def _literal(members: list[Any]) -> Any:
    return Literal[tuple(members)]


def _model(kinds: list[Any], defaults: set[int]) -> Any:
    fields: dict[str, Any] = {f"f{n}": (kind, None if n in defaults else ...) for n, kind in enumerate(kinds)}
    return create_model("Inner", __config__=ConfigDict(extra="forbid"), **fields)


_scalars: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from([str, int, float, bool, None, Color, dt.date, dt.datetime, dt.timedelta, uuid.UUID, Tree, Closed]),
    st.builds(_bounded_int, _integers, st.integers(0, 1000), st.none() | st.integers(1, 50)),
    st.builds(_bounded_float, _floats, st.floats(0.01, 1e6), st.booleans()),
    st.builds(_bounded_text, st.integers(0, 300), st.integers(0, 300)),
    st.builds(_literal, st.lists(st.text(max_size=8) | _integers | st.booleans(), min_size=1, max_size=6)),
)


def _wider(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    sizes = st.tuples(st.integers(0, 4), st.integers(0, 4))
    return st.one_of(
        st.builds(lambda t: t | None, inner.filter(lambda t: t is not None)),
        st.builds(lambda t, s: Annotated[list[t], Field(min_length=s[0], max_length=s[0] + s[1])], inner, sizes),  # type: ignore[valid-type]
        st.builds(lambda t, s: Annotated[dict[str, t], Field(min_length=s[0], max_length=s[0] + s[1])], inner, sizes),  # type: ignore[valid-type]
        st.builds(lambda a, b: tuple[a, b], inner, inner),  # type: ignore[valid-type]
        st.builds(lambda a, b: a | b, inner.filter(lambda t: t is not None), inner.filter(lambda t: t is not None)),
        st.builds(
            _model,
            st.lists(inner, max_size=4),
            st.sets(st.integers(0, 4)),
        ),
    )


_types = st.recursive(_scalars, _wider, max_leaves=8)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(kind=_types, seed=st.integers(0, 1000))
def test_a_made_value_fits_its_schema(kind: Any, seed: int) -> None:
    judge: TypeAdapter[Any] = TypeAdapter(kind)
    schema = judge.json_schema()
    made = make_value(schema, Draw(seed))
    judge.validate_json(orjson.dumps(made), strict=True)
    assert made == make_value(schema, Draw(seed))


def test_different_draws_make_different_values() -> None:
    schema = TypeAdapter(Closed).json_schema()
    assert len({str(make_value(schema, Draw(place))) for place in range(20)}) > 15


@pytest.mark.parametrize(
    "pattern",
    [
        r"^\d{4}-\d{2}$",
        r"^INV-[0-9]{3,6}(?:-[A-C]+)?$",
        r"^(?P<code>[a-z_]+)\.(json|ya?ml)$",
        r"^[^0-9]{5}\s\w*$",
        r"^(ab|c[de]){2,3}$",
        r"colou?r",
    ],
)
def test_a_made_string_matches_its_pattern(pattern: str) -> None:
    made = [make_value({"type": "string", "pattern": pattern}, Draw(place)) for place in range(30)]
    assert all(re.search(pattern, text) for text in made)
    assert len(set(made)) > 1 or pattern == "colou?r"


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"const": 3}, 3),
        ({"allOf": [{"enum": [1, 2, 3]}, {"enum": [3, 4]}]}, 3),
        ({"$defs": {"a/b": {"const": "x"}}, "$ref": "#/$defs/a~1b"}, "x"),
        ({"allOf": [{"minimum": 4, "type": "integer"}, {"maximum": 4}]}, 4),
        ({"type": ["null"]}, None),
        (
            {"type": "array", "items": {"enum": ["a", "b"]}, "uniqueItems": True, "minItems": 2, "maxItems": 2},
            {"a", "b"},
        ),
        ({"type": "array", "prefixItems": [{"const": 1}, {"const": 2}], "items": False}, [1, 2]),
    ],
)
def test_schemas_with_one_value_get_it(schema: dict[str, Any], value: Any) -> None:
    made = make_value(schema, Draw("one"))
    assert (set(made) if isinstance(value, set) else made) == value


@pytest.mark.parametrize(
    "schema",
    [
        False,
        {"enum": []},
        {"$ref": "#/$defs/none"},
        {"$ref": "https://example.com/schema"},
        {"$ref": "#"},
        {"type": "integer", "minimum": 3, "maximum": 2},
        {"type": "string", "minLength": 3, "maxLength": 2},
        {"type": "number", "exclusiveMinimum": 1, "exclusiveMaximum": 1},
        {"type": "wish"},
        {"not": {}},
        {"type": "integer", "minimum": "low"},
        {"properties": ["a"], "required": ["a"]},
        {"type": "object", "properties": {"me": {"$ref": "#"}}, "required": ["me"]},
        {"type": "array", "items": {"enum": [1]}, "uniqueItems": True, "minItems": 2},
        {"type": "object", "additionalProperties": False, "minProperties": 1},
        {"type": "string", "pattern": "(?=x)y"},
        {"type": "string", "pattern": "("},
    ],
)
def test_schemas_without_a_value_are_refused(schema: Any) -> None:
    with pytest.raises(UnsupportedSchema):
        make_value(schema, Draw("none"))


def test_endless_schemas_get_a_small_value() -> None:
    made = make_value(TypeAdapter(Tree).json_schema(), Draw(1))
    assert len(str(made)) < 50_000
    Tree.model_validate(made)
