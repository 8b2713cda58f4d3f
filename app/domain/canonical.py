"""Canonical JSON bytes: sorted keys, no spaces, any text at all, digests that mean equality."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from typing import Any

import orjson


_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_STEP = {**dict.fromkeys(b"[{", 1), **dict.fromkeys(b"]}", -1)}
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in _STEP)


class MalformedJson(ValueError):
    """The bytes are not JSON, or nest deeper than allowed."""


def dump(value: Any) -> bytes:
    """`value` (plain JSON types) as canonical bytes.

    Lone surrogates and integers beyond 64 bits, which the fast writer refuses, are written by the standard library.
    Raises TypeError for a value that is no JSON, ValueError for NaN or infinity.
    """
    try:
        # orjson writes NaN as null; a stored null that was a NaN would be a silent change, callers validate floats.
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
        return text.encode()


def write(value: Any) -> bytes:
    """`value` as JSON bytes in the order it has: for answers, where order is for people. Embeds orjson fragments."""
    return orjson.dumps(value)


def load(data: bytes | str, max_depth: int = 200) -> Any:
    """The value of JSON bytes. Raises MalformedJson, also when it nests deeper than `max_depth`."""
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    if raw.count(b"[") + raw.count(b"{") > max_depth and _depth(raw) > max_depth:
        raise MalformedJson(f"nests deeper than {max_depth} levels")
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as first:
        return _load_slowly(raw, first)


def digest(*values: Any) -> bytes:
    """SHA-256 over the canonical form of the values: equal digests mean equal values."""
    return hashlib.sha256(dump(list(values))).digest()


def _load_slowly(raw: bytes, first: orjson.JSONDecodeError) -> Any:
    """RFC 8259 allows escaped lone surrogates, which the fast reader refuses."""
    if b"\\u" not in raw:
        raise MalformedJson(str(first)) from None
    try:
        return json.loads(raw.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise MalformedJson(str(first)) from None


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _depth(raw: bytes) -> int:
    """The deepest nesting, brackets inside strings left out; without a loop in Python, since bodies can be hostile."""
    brackets = _STRING.sub(b"", raw).translate(None, _NO_BRACKETS)
    return max(itertools.accumulate(map(_STEP.__getitem__, brackets)), default=0)
