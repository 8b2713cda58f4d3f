"""Ids, canonical JSON, money and durations: what goes in comes out, and nothing else is taken."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import canonical, duration, ids, money

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=()), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=()), max_size=8), inner, max_size=4)
    ),
    max_leaves=15,
)


@given(st.uuids())
def test_an_id_survives_the_wire(value: UUID) -> None:
    shown = ids.show("job", value)
    assert ids.read("job", shown) == value
    assert len(shown) == 30


@given(st.uuids(), st.uuids())
def test_shown_ids_sort_as_the_ids_do(one: UUID, other: UUID) -> None:
    assert (ids.show("job", one) < ids.show("job", other)) == (one.int < other.int)


@given(st.text(max_size=40))
def test_what_is_no_id_is_refused(text: str) -> None:
    try:
        value = ids.read("job", text)
    except ids.InvalidId:
        return
    assert ids.show("job", value) == text


def test_ids_of_one_process_rise_and_are_version_7() -> None:
    drawn = [ids.uuid7() for _ in range(10_000)]
    assert drawn == sorted(set(drawn))
    assert all((value.version, value.variant) == (7, "specified in RFC 4122") for value in drawn)


def test_the_floor_of_a_millisecond_is_below_its_ids() -> None:
    value = ids.uuid7()
    moment = value.int >> 80
    assert ids.uuid7_floor(moment) <= value < ids.uuid7_floor(moment + 1)
    assert ids.unix_s(value) == moment / 1000


@given(JSON)
def test_canonical_json_gives_back_any_value(value: Any) -> None:
    assert canonical.load(canonical.dump(value), max_depth=200) == value


@given(JSON, st.randoms())
def test_the_order_of_keys_does_not_matter(value: Any, random: Any) -> None:
    if isinstance(value, dict):
        pairs = list(value.items())
        random.shuffle(pairs)
        assert canonical.digest(dict(pairs)) == canonical.digest(value)


@given(st.binary(max_size=60))
def test_any_bytes_are_json_or_malformed(data: bytes) -> None:
    try:
        value = canonical.load(data)
    except canonical.MalformedJson:
        return
    assert canonical.load(canonical.dump(value)) == value


@pytest.mark.parametrize(
    "bad", [b"[" * 100_000, b'{"a":' * 5000 + b"1" + b"}" * 5000, b"NaN", b"Infinity", b"[1e", b""]
)
def test_deep_and_odd_json_is_malformed(bad: bytes) -> None:
    with pytest.raises(canonical.MalformedJson):
        canonical.load(bad)


def test_brackets_inside_strings_do_not_nest() -> None:
    text = '"' + "[" * 1000 + '\\"{"'
    assert canonical.load(text) == "[" * 1000 + '"{'


@given(st.integers(min_value=-(10**18), max_value=10**18))
def test_money_survives_its_text(nanos: int) -> None:
    assert money.nanos(money.show(nanos)) == nanos


@pytest.mark.parametrize("bad", ["", "x", "NaN", "Infinity", "0.0000000001"])
def test_what_is_no_amount_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="amount"):
        money.nanos(bad)


def test_a_cent_ten_thousand_times_is_a_hundred_dollars() -> None:
    assert money.show(sum([money.nanos(Decimal("0.01"))] * 10_000)) == "100.000000000"


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("5m", 300), ("2h", 7200), ("1.5s", 1.5), ("250ms", 0.25)])
def test_durations(text: str, seconds: float) -> None:
    assert math.isclose(duration.seconds(text), seconds)


@pytest.mark.parametrize("bad", ["", "5", "s", "-1s", "1 s", "1w", "1e3s", "٣s\n"])
def test_what_is_no_duration_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        duration.seconds(bad)


@pytest.mark.parametrize("number", [2**63, 2**64, 2**70 + 1, -(2**63) - 1, 10**400 + 1])
def test_an_integer_of_any_size_is_kept_exactly(number: int) -> None:
    assert canonical.load(canonical.dump([number])) == [number]
    assert type(canonical.load(str(number))) is int


@pytest.mark.parametrize("bad", [b"1e400", b'["\\ud800",1e400]', b'["\\ud800",-1e400]', b"9999999999999999999e400"])
def test_a_number_beyond_all_floats_is_malformed(bad: bytes) -> None:
    with pytest.raises(canonical.MalformedJson):
        canonical.load(bad)
