"""Request headers that carry meaning: each is read here once, and none can break a request by its form alone."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fastapi import Request

from app.domain.errors import Problem
from app.domain.job import CacheMode
from app.jobs.wanted import CacheWish

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_SECONDS = re.compile(r"[0-9]+")
_ENTITY_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e]*)"')
_OUR_TAG = re.compile(r"r([0-9]{1,9})")
_WEIGHT = re.compile(r";?\s*q\s*=\s*([01](?:\.[0-9]{0,3})?)", re.IGNORECASE)
_STREAM = "text/event-stream"
_JSON = ("application/json", "application/*")
ANY = "*"


@dataclass(frozen=True, slots=True)
class Wish:
    """What the client prefers: to be held for `seconds` (None: not at all), to be answered asynchronously."""

    seconds: float | None = None
    asynchronous: bool = False

    @property
    def applied(self) -> dict[str, str]:
        """`Preference-Applied` for it."""
        words = ["respond-async"] if self.asynchronous else []
        words += [f"wait={self.seconds:g}"] if self.seconds is not None else []
        return {"Preference-Applied": ", ".join(words)} if words else {}


def wish_of(request: Request, most_s: float) -> Wish:
    """`Prefer`, the wait at most `most_s`; what is malformed or unknown is ignored (RFC 7240)."""
    wishes: dict[str, str] = {}
    for header in request.headers.getlist("prefer"):
        for part in header.split(","):
            name, _, value = part.partition(";")[0].partition("=")
            wishes.setdefault(name.strip().lower(), value.strip().strip('"'))
    wait = wishes.get("wait", "")
    seconds = min(float(wait[:9]), most_s) if _SECONDS.fullmatch(wait) else None
    return Wish(seconds, "respond-async" in wishes)


def cache_wish(request: Request) -> CacheWish:
    """`Cache-Control` of a submit; of what is malformed or unknown nothing is taken (RFC 9111, 5.2)."""
    words: dict[str, str] = {}
    for header in request.headers.getlist("cache-control"):
        for part in header.split(","):
            name, _, value = part.partition("=")
            words.setdefault(name.strip().lower(), value.strip().strip('"'))
    age = words.get("max-age", "")
    mode = next((mode for mode in (CacheMode.NO_STORE, CacheMode.NO_CACHE) if mode in words), None)
    max_age_s = float(age[:9]) if _SECONDS.fullmatch(age) else None
    return CacheWish(mode, max_age_s, "only-if-cached" in words)


def idempotency_key(request: Request) -> str | None:
    """`Idempotency-Key`, quoted or not. Raises Problem `invalid_header`."""
    text = request.headers.get("idempotency-key")
    if text is None:
        return None
    bare = text[1:-1] if len(text) >= 2 and text[0] == text[-1] == '"' else text
    if not _KEY.fullmatch(bare):
        raise Problem("invalid_header", "Idempotency-Key: 1 to 255 visible ASCII characters.")
    return bare


def known_tags(request: Request) -> frozenset[str]:
    """The tags of `If-None-Match`, which compares weakly (RFC 9110, 13.1.2); `*` is a tag too."""
    return frozenset(tag for _, tag in _tags(request, "if-none-match"))


def expected_revision(request: Request) -> int | None:
    """The revision of `If-Match`, the latest where several are named; None for any.

    Raises Problem 412 when no tag can be a job's, or is weak: `If-Match` compares strongly.
    """
    if "if-match" not in request.headers:
        return None
    tags = _tags(request, "if-match")
    if (False, ANY) in tags:
        return None
    found = [_OUR_TAG.fullmatch(tag) for weak, tag in tags if not weak]
    revisions = [int(match[1]) for match in found if match]
    if not revisions:
        raise Problem("revision_mismatch", 'If-Match takes the ETag of the job, for instance "r7".')
    return max(revisions)


def wants_stream(request: Request) -> bool:
    """Whether the client would rather have an event stream than JSON (RFC 9110, 12.5.1); of equals the first."""
    best, found = 0.0, False
    for part in ",".join(request.headers.getlist("accept")).split(","):
        kind, _, parameters = part.partition(";")
        name, quality = kind.strip().lower(), _quality(parameters)
        if name in (*_JSON, _STREAM) and quality > best:
            best, found = quality, name == _STREAM
    return found


def last_event_id(request: Request) -> str | None:
    """The event that a client has seen last; None for a new client."""
    return request.headers.get("last-event-id", "").strip() or None


def _quality(parameters: str) -> float:
    """The weight among a media type's parameters; 1 where there is none."""
    found = _WEIGHT.search(parameters)
    return float(found[1]) if found else 1.0


def _tags(request: Request, name: str) -> list[tuple[bool, str]]:
    """Each tag of the header, and whether it is weak."""
    text = ",".join(request.headers.getlist(name)).strip()
    return [(False, ANY)] if text == ANY else [(bool(weak), tag) for weak, tag in _ENTITY_TAG.findall(text)]
