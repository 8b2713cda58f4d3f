"""Errors as logs tell them."""

from __future__ import annotations

import asyncio

import pytest

from app.telemetry.place import kind_of, place_of, root_of

SECRET = "canary"


class Careless(Exception):
    def __str__(self) -> str:
        raise RuntimeError(SECRET)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ValueError(SECRET), "ValueError"),
        (OSError(28, SECRET), "OSError: No space left on device"),
        (ConnectionRefusedError(111, SECRET), "ConnectionRefusedError: Connection refused"),
        (OSError(SECRET), "OSError"),
        (TimeoutError(), "TimeoutError"),
        (Careless(), "Careless"),
    ],
)
def test_the_kind_is_the_type_and_what_an_error_number_means(error: Exception, kind: str) -> None:
    assert kind_of(error) == kind


def fail(depth: int) -> None:
    if depth:
        fail(depth - 1)
    raise ValueError(SECRET)


def test_the_place_is_the_innermost_calls_and_never_a_value() -> None:
    with pytest.raises(ValueError) as caught:
        fail(20)
    places = place_of(caught.value).split(" < ")
    assert len(places) == 8
    assert places[0].startswith("telemetry/test_place.py:")
    assert SECRET not in place_of(caught.value)
    assert place_of(ValueError(SECRET)) == ""


def test_the_root_is_at_the_end_of_the_chain_even_of_a_circle() -> None:
    first, second, third = ValueError(), KeyError(), OSError()
    third.__cause__, second.__cause__ = second, first
    assert root_of(third) is first
    first.__cause__ = first
    assert root_of(third) is first
    first.__cause__ = third
    assert root_of(third) is first


async def test_a_timeout_is_not_told_as_the_cancellation_it_used() -> None:
    with pytest.raises(TimeoutError) as caught:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(60)
    assert root_of(caught.value) is caught.value
    # Some versions of Python chain it to the cancellation, some do not.
    told = TimeoutError()
    told.__cause__ = asyncio.CancelledError()
    assert root_of(told) is told
