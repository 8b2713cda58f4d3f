"""What answers say of limits: minutes' limits are read, all others are unknown; a 429 is told apart by its words."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.clients.base import NO_HINTS, LimitHints, WireError
from app.clients.limits import hints_of, label_of
from app.clients.refusal import ErrorBody, refuse
from app.domain.errors import ProviderAuth, RateLimited

_NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def openai(kind: str, limit: str, left: str, reset: str | None = None) -> dict[str, str]:
    """The headers of one limit."""
    named = {"limit": limit, "remaining": left} | ({"reset": reset} if reset else {})
    return {f"x-ratelimit-{part}-{kind}": value for part, value in named.items()}


def anthropic(kind: str, limit: str, left: str, reset: str) -> dict[str, str]:
    """The same in Anthropic's form."""
    return {
        f"anthropic-ratelimit-{kind}-{part}": value
        for part, value in (("limit", limit), ("remaining", left), ("reset", reset))
    }


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, {}),
        (openai("requests", "60", "59", "1s"), {"requests": (60, 59)}),
        (
            openai("requests", "60", "59") | openai("tokens", "150000", "149984", "6ms"),
            {"requests": (60, 59), "tokens": (150000, 149984)},
        ),
        (openai("requests", "60", "0", "1m0s"), {"requests": (60, 0)}),
        (openai("requests", "-1", "-1"), {}),
        (openai("requests", "0", "0", "0s"), {}),
        (openai("requests", "60", "61"), {}),
        (openai("requests", "many", "1"), {}),
        # A day's limit that shows its refill, and one that shows only how late its window ends.
        (openai("requests", "14400", "14370", "2m59s"), {}),
        (openai("requests", "14400", "14399", "6s"), {}),
        (openai("tokens", "40000", "1", "7h12m"), {}),
        (anthropic("requests", "50", "49", "2026-11-21T12:00:01Z"), {"requests": (50, 49)}),
        (anthropic("input-tokens", "30000", "29000", "2026-11-21T12:00:02Z"), {"input": (30000, 29000)}),
        (
            anthropic("tokens", "38000", "37000", "2026-11-21T12:00:02Z")
            | anthropic("input-tokens", "30000", "29000", "2026-11-21T12:00:02Z"),
            {"tokens": (38000, 37000), "input": (30000, 29000)},
        ),
    ],
)
def test_limits_by_the_minute(headers: dict[str, str], expected: dict[str, tuple[int, int]]) -> None:
    assert {name: (limit, left) for name, limit, left in hints_of(headers, _NOW).limits} == expected


@pytest.mark.parametrize(
    ("body", "headers", "label"),
    [
        ({"type": "requests", "code": "rate_limit_exceeded"}, {}, "req"),
        ({"type": "tokens", "code": "rate_limit_exceeded"}, {}, "tok"),
        ({"message": "Rate limit reached for mini-1 on requests per min (RPM): Limit 3"}, {}, "req"),
        ({"message": "This would exceed the limit of 50,000 input tokens per minute"}, {}, "tok"),
        ({"message": "Number of concurrent connections has exceeded your rate limit"}, {}, "conc"),
        ({"message": "Too many requests"}, {}, None),
        ({"message": "slow down"}, openai("requests", "60", "0") | openai("tokens", "9000", "800"), "req"),
        ({"message": "slow down"}, anthropic("output-tokens", "8000", "0", "2026-11-21T12:00:02Z"), "tok"),
        ({"message": "slow down"}, openai("requests", "60", "0") | openai("tokens", "9000", "0"), None),
        # The error's own word wins over what the headers show.
        ({"type": "tokens"}, openai("requests", "60", "0"), "tok"),
    ],
)
def test_a_429_names_its_limit(body: dict[str, str], headers: dict[str, str], label: str | None) -> None:
    error = ErrorBody(body.get("code"), body.get("type"), body.get("message", ""))
    found = refuse("main", 429, headers, error, _NOW)
    assert isinstance(found.fault, RateLimited)
    assert found.hints.label == label


@pytest.mark.parametrize("code", ["insufficient_quota", "billing_hard_limit_reached", "credit_balance_too_low"])
def test_a_quota_is_no_limit(code: str) -> None:
    found = refuse("main", 429, {}, ErrorBody(code, "requests", "You exceeded your requests per minute"), _NOW)
    assert isinstance(found.fault, ProviderAuth)
    assert found.hints.label is None


def test_an_error_without_words_has_no_hints() -> None:
    assert WireError(RateLimited()).hints is NO_HINTS
    assert refuse("main", 503, {}, ErrorBody(), _NOW).hints == LimitHints()


@given(st.dictionaries(st.sampled_from([*openai("requests", "", "", "x"), *openai("tokens", "", "")]), st.text()))
def test_any_header_is_a_hint_or_none(headers: dict[str, str]) -> None:
    assert all(0 <= left <= limit and limit > 0 for _, limit, left in hints_of(headers, _NOW).limits)


@given(st.lists(st.text(max_size=30)), st.text(), st.dictionaries(st.text(max_size=30), st.text(max_size=5)))
def test_any_words_are_a_label_or_none(words: list[str], message: str, headers: dict[str, str]) -> None:
    assert label_of(words, message, headers) in (None, "req", "tok", "conc")


def test_the_bodies_of_known_servers() -> None:
    body = orjson.loads(b'{"error":{"message":"x","type":"tokens","param":null,"code":"rate_limit_exceeded"}}')["error"]
    found = refuse("main", 429, {"retry-after-ms": "250"}, ErrorBody(body["code"], body["type"], "x"), _NOW)
    assert (found.hints.label, found.fault.retry_after_s) == ("tok", 0.25)
