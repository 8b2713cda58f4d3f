"""What an answer says of its provider's limits: by the minute, what is left of each, and which one a 429 met."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime

from app.clients.base import NO_HINTS, LimitHints
from app.clients.retry_after import span_s, until_time_s

_COUNT = re.compile(r"^\d{1,12}$", re.ASCII)
# A limit that is free again this late, or refills in an hour or more, is one of the day or the hour.
_RESET_S, _WINDOW_S = 90.0, 3600.0
_REQUESTS, _TOKENS, _AT_ONCE = "req", "tok", "conc"
# What providers call the limit, in an error's type or code; OpenAI's type is `requests` or `tokens`.
_WORDS = {
    "requests": _REQUESTS,
    "tokens": _TOKENS,
    "input_tokens": _TOKENS,
    "output_tokens": _TOKENS,
    "concurrency": _AT_ONCE,
    "concurrent_requests": _AT_ONCE,
    "too_many_concurrent_requests": _AT_ONCE,
    "concurrency_limit_exceeded": _AT_ONCE,
}
# The same in the words of a message, the surest first.
_SIGNS = (
    (re.compile(r"concurren|in flight|parallel requests"), _AT_ONCE),
    (re.compile(r"tokens? (?:per|/) ?min|tokens per day|\btp[md]\b|token (?:rate )?limit"), _TOKENS),
    (re.compile(r"requests? (?:per|/) ?(?:min|sec)|requests per day|\brp[md]\b|request (?:rate )?limit"), _REQUESTS),
)
_LONGEST_READ = 1000
# The names of a dimension in headers: `x-ratelimit-limit-NAME`, `anthropic-ratelimit-NAME-limit`.
_OPENAI = {"requests": "requests", "tokens": "tokens"}
_ANTHROPIC = {"requests": "requests", "tokens": "tokens", "input": "input-tokens", "output": "output-tokens"}


def hints_of(headers: Mapping[str, str], now: datetime) -> LimitHints:
    """The limits that the headers announce (`x-ratelimit-*`, `anthropic-ratelimit-*`), as far as they make sense."""
    if not any("ratelimit" in name for name in headers):
        return NO_HINTS
    found = {dimension: _anthropic(headers, name, now) for dimension, name in _ANTHROPIC.items()}
    found |= {dimension: one for dimension, name in _OPENAI.items() if (one := _openai(headers, name))}
    return LimitHints(tuple((dimension, *one) for dimension, one in found.items() if one))


def label_of(words: Iterable[str], message: str, headers: Mapping[str, str]) -> str | None:
    """Which limit a 429 met, by the error's own words, else by the one that its headers show used up: `req`, `tok` or
    `conc`; None where nothing tells.
    """
    named = next((_WORDS[word.lower()] for word in words if word.lower() in _WORDS), None)
    text = message[:_LONGEST_READ].lower()
    return named or next((label for sign, label in _SIGNS if sign.search(text)), None) or _used_up(headers)


def _used_up(headers: Mapping[str, str]) -> str | None:
    places = {
        _REQUESTS: ("x-ratelimit-remaining-requests", "anthropic-ratelimit-requests-remaining"),
        _TOKENS: (
            "x-ratelimit-remaining-tokens", "anthropic-ratelimit-tokens-remaining",
            "anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-output-tokens-remaining",
        ),
    }  # fmt: skip
    empty = [label for label, names in places.items() if any(headers.get(name) == "0" for name in names)]
    return empty[0] if len(empty) == 1 else None


def _openai(headers: Mapping[str, str], name: str) -> tuple[int, int] | None:
    reset_s = span_s(headers.get(f"x-ratelimit-reset-{name}", ""))
    return _by_the_minute(
        headers.get(f"x-ratelimit-limit-{name}"), headers.get(f"x-ratelimit-remaining-{name}"), reset_s
    )


def _anthropic(headers: Mapping[str, str], name: str, now: datetime) -> tuple[int, int] | None:
    start = f"anthropic-ratelimit-{name}-"
    reset_s = until_time_s(headers.get(f"{start}reset", ""), headers, now)
    return _by_the_minute(headers.get(f"{start}limit"), headers.get(f"{start}remaining"), reset_s)


def _by_the_minute(limit: str | None, left: str | None, reset_s: float | None) -> tuple[int, int] | None:
    """Limit and what is left; None for -1, 0 of 0, more left than there is, and limits of other spans."""
    if limit is None or left is None or not _COUNT.match(limit.strip()) or not _COUNT.match(left.strip()):
        return None
    most, rest = int(limit), int(left)
    if most == 0 or rest > most:
        return None
    if reset_s is not None and (reset_s > _RESET_S or reset_s * most >= _WINDOW_S * max(1, most - rest)):
        return None
    return most, rest
