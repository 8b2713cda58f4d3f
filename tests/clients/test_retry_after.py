"""Headers that name when to come again."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.clients.retry_after import limit_reset_s, retry_after_s, span_s

_NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "1e9"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "٣"}, None),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after-ms": "x", "retry-after": "7"}, 7.0),
        ({"retry-after": "Sat, 21 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Sat, 21 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "Sat, 21 Nov 2026 13:00:30 GMT", "date": "Sat, 21 Nov 2026 13:00:00 GMT"}, 30.0),
        ({"retry-after": "Sat, 21 Nov 2026 13:00:30"}, None),
        ({"retry-after": "Sat, 99 Nov 99999 13:00:30 GMT"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], expected: float | None) -> None:
    assert retry_after_s(headers, _NOW) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1s", 1.0),
        ("6m0s", 360.0),
        ("250ms", 0.25),
        ("1h2m3.5s", 3723.5),
        ("2m", 120.0),
        ("1s500ms", 1.5),
        ("12", 12.0),
        ("", None),
        ("s", None),
        ("-1s", None),
        ("1 s", None),
        ("3s2m", None),
    ],
)
def test_spans(text: str, expected: float | None) -> None:
    assert span_s(text) == expected


def test_the_limit_that_is_used_up_counts() -> None:
    headers = {
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "2s",
        "x-ratelimit-remaining-tokens": "900",
        "x-ratelimit-reset-tokens": "6m0s",
    }
    assert limit_reset_s(headers, _NOW) == 2.0
    assert limit_reset_s({**headers, "x-ratelimit-remaining-tokens": "0"}, _NOW) == 360.0
    assert limit_reset_s({"x-ratelimit-reset-tokens": "9s"}, _NOW) == 9.0
    assert limit_reset_s({}, _NOW) is None


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"requests-reset": "2026-11-21T12:00:20Z"}, 20.0),
        ({"requests-reset": "2026-11-21T12:00:20Z", "tokens-reset": "2026-11-21T12:00:05Z"}, 5.0),
        (
            {
                "requests-reset": "2026-11-21T12:00:20Z",
                "output-tokens-remaining": "0",
                "output-tokens-reset": "2026-11-21T13:00:30+01:00",
            },
            30.0,
        ),
        ({"requests-reset": "2026-11-21T11:00:00Z"}, 0.0),
        ({"requests-reset": "2026-11-21T12:00:20"}, None),
        ({"requests-reset": "soon"}, None),
    ],
)
def test_anthropic_names_times(headers: dict[str, str], expected: float | None) -> None:
    named = {f"anthropic-ratelimit-{name}": value for name, value in headers.items()}
    assert limit_reset_s(named, _NOW) == expected
    if expected == 20.0:
        assert limit_reset_s({**named, "date": "Sat, 21 Nov 2026 11:59:50 GMT"}, _NOW) == 30.0


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_any_text_is_a_time_or_none(after: str, milliseconds: str, date: str) -> None:
    found = retry_after_s({"retry-after": after, "retry-after-ms": milliseconds, "date": date}, _NOW)
    assert found is None or found >= 0
    assert span_s(after) is None or span_s(after) >= 0  # type: ignore[operator]
    reset = limit_reset_s({"anthropic-ratelimit-tokens-reset": after, "date": date}, _NOW)
    assert reset is None or reset >= 0
